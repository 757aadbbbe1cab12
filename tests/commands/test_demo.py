"""The command `demo`, on a scene of our own in the place of a bundled one: what it writes and what it says of it."""

import json

import numpy as np
import pytest
from helpers import ROOM, assert_found, moving_shapes, save_frames
from PIL import Image

from vosedu.commands import build_parser, demo, main
from vosedu.files import datasets
from vosedu.files.frames import FrameSource
from vosedu.files.images import read_mask, write_mask


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Five frames of two objects, whatever the name that is asked for."""
    frames, labels = moving_shapes(5, ROOM, objects=2)
    save_frames(tmp_path / "scene", frames)
    (tmp_path / "truth").mkdir()
    for t, ids in enumerate(labels):
        write_mask(tmp_path / "truth" / f"{t:05d}.png", ids)
    asked = []
    video = datasets.AnnotatedVideo("tiny", tmp_path / "scene", tmp_path / "truth")
    monkeypatch.setattr(datasets, "scene", lambda name: asked.append(name) or video)
    return asked, labels


def test_masks_film_sheet_and_scores(scene, tmp_path, capsys):
    """With the default settings; J is counted here from the masks that it wrote, without the first and the last frame."""
    asked, truth = scene
    assert main(["demo", "--scene", "any", "--out", str(tmp_path / "o"), "--short-side", "192"]) == 0
    assert asked == ["any"]
    said = json.loads((tmp_path / "o" / "tiny" / "run.json").read_text())["settings"]
    assert said["short_side"] == 192 and (said["preset"], said["backbone"], said["output"]) == ("best", "compact", "refinement")
    found = [read_mask(tmp_path / "o" / "tiny" / f"{t:05d}.png") for t in range(5)]
    assert np.array_equal(found[0], truth[0])
    assert_found(found[1:], truth[1:], 0.5)
    j = np.mean([[((found[t] == i) & (truth[t] == i)).sum() / ((found[t] == i) | (truth[t] == i)).sum() for t in (1, 2, 3)]
                 for i in (1, 2)])
    printed = capsys.readouterr().out
    row = next(line.split() for line in printed.splitlines() if line.startswith("tiny"))
    assert row[:4] == ["tiny", "5", "2", f"{j:.3f}"]
    film, sheet = tmp_path / "o" / "tiny.mp4", tmp_path / "o" / "tiny.png"
    assert f"look at {sheet} and {film}" in printed
    frames = [frame for _, frame in FrameSource(film)]
    assert len(frames) == 5 and frames[0].shape == (*ROOM, 3)
    with Image.open(sheet) as picture:  # five pictures of 192 x 264, four in a row, each 320 wide
        assert picture.size == (4 * 320, 2 * 233)


def test_a_bundled_scene_is_the_default():
    args = build_parser("demo").parse_args(["demo"])
    assert args.scene == "huddle" and args.scene in datasets.scene_notes() and args.short_side == 432 and str(args.out) == "out"
    assert demo.run.__doc__


def test_an_unknown_scene_is_one_line(capsys):
    assert main(["demo", "--scene", "hudle"]) == 2
    assert "did you mean huddle" in capsys.readouterr().err
