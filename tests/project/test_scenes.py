"""The bundled scenes: frames and masks pair up, ids are those declared, areas are those of scenes.json."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vosedu.files import datasets

ROOT = Path(__file__).resolve().parents[2]
SCENES = ROOT / "data" / "scenes"
NOTES = json.loads((SCENES / "scenes.json").read_text(encoding="utf-8"))
NAMES = sorted(NOTES["scenes"])
every_scene = pytest.mark.parametrize("name", NAMES)


def frames_of(name: str) -> list[Path]:
    return sorted((SCENES / "JPEGImages" / "480p" / name).glob("*.jpg"))


def masks_of(name: str) -> list[Path]:
    return sorted((SCENES / "Annotations" / "480p" / name).glob("*.png"))


def test_there_are_scenes_and_a_licence():
    assert NAMES
    assert NOTES["licence"] == "CC0-1.0"
    assert "shutter" in NOTES["labels"]


@every_scene
def test_note_is_complete(name):
    note = NOTES["scenes"][name]
    assert note["title"] and note["fps"] > 0 and 0 < note["shutter"] <= 1
    assert note["watch"].rstrip().endswith("."), "what to watch for is a sentence"
    assert note["objects"] and list(note["objects"]) == [str(k + 1) for k in range(len(note["objects"]))]
    assert all(note["objects"].values())
    assert 40 <= note["frames"] <= 80
    assert set(note["areas"]) == set(note["objects"])


@every_scene
def test_frames_and_masks_pair_up(name):
    expected = [f"{k:05d}" for k in range(NOTES["scenes"][name]["frames"])]
    assert [p.stem for p in frames_of(name)] == expected
    assert [p.stem for p in masks_of(name)] == expected


@every_scene
def test_sizes(name):
    for path in frames_of(name):
        with Image.open(path) as picture:
            assert picture.size == (854, 480) and picture.mode == "RGB", path.name
    for path in masks_of(name):
        with Image.open(path) as picture:
            assert picture.size == (854, 480) and picture.mode == "P", path.name


@every_scene
def test_ids_and_areas_equal_the_notes(name):
    note = NOTES["scenes"][name]
    for k, path in enumerate(masks_of(name)):
        with Image.open(path) as picture:
            ids, counts = np.unique(np.asarray(picture), return_counts=True)
        found = {str(i): int(c) for i, c in zip(ids, counts, strict=True) if i > 0}
        assert set(found) <= set(note["objects"]), f"{path.name} shows an undeclared id"
        areas = {i: values[k] for i, values in note["areas"].items()}
        assert {i: found.get(i, 0) for i in note["objects"]} == areas, path.name


@every_scene
def test_every_object_is_seen_and_large_enough_to_learn(name):
    for i, areas in NOTES["scenes"][name]["areas"].items():
        first = next((a for a in areas if a), 0)
        assert first >= 20, f"object {i} starts with {first} pixels"
        assert max(areas) >= 1500, f"object {i} never covers more than {max(areas)} pixels"


@every_scene
def test_masks_are_given_where_the_object_shows(name):
    """At the start, or for a late object where at least half of its usual area is visible."""
    sequence = datasets.scene(name)
    entries = sequence.entries()
    for i, areas in NOTES["scenes"][name]["areas"].items():
        k = sequence.given[int(i)]
        assert np.count_nonzero(entries[k] == int(i)) == areas[k] > 0
        assert (k == 0) == (areas[0] > 0) and 2 * areas[k] >= np.median([a for a in areas if a]) * (k > 0)


@every_scene
def test_palette_is_that_of_davis(name):
    with Image.open(masks_of(name)[0]) as picture:
        palette = np.array(picture.getpalette()).reshape(-1, 3)
    assert palette[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]


@every_scene
def test_the_picture_moves_and_is_not_blank(name):
    ends = frames_of(name)[0], frames_of(name)[-1]
    first, last = (np.asarray(Image.open(p).convert("L").resize((107, 60)), np.float32) for p in ends)
    assert first.std() > 15 and last.std() > 15
    assert np.abs(first - last).mean() > 1


def test_lists():
    single = [name for name in NAMES if len(NOTES["scenes"][name]["objects"]) == 1]
    assert (SCENES / "ImageSets" / "2017" / "val.txt").read_text().split() == NAMES
    assert (SCENES / "ImageSets" / "2016" / "val.txt").read_text().split() == single


def test_nothing_undeclared_lies_about():
    for part in ("JPEGImages", "Annotations"):
        assert sorted(p.name for p in (SCENES / part / "480p").iterdir()) == NAMES


def test_total_size():
    total = sum(p.stat().st_size for p in SCENES.rglob("*") if p.is_file())
    assert total <= 25 * 1000 * 1000, f"{total / 1e6:.1f} MB"


@every_scene
def test_contact_sheet(name):
    path = ROOT / "docs" / "scenes" / f"{name}.png"
    assert path.stat().st_size <= 400_000
    with Image.open(path) as sheet:
        assert sheet.width > 4 * sheet.height


def test_missing_blender_is_explained():
    """Without bpy the script says what to install; `--help` and `--list` work all the same."""
    script = ROOT / "data" / "render_scenes.py"
    blocked = (
        f"import sys, runpy; sys.modules['bpy'] = None; sys.argv = ['x']; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, timeout=60)
    assert run.returncode != 0 and "pip install" in run.stderr and "bpy" in run.stderr
    usage = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, timeout=60)
    assert usage.returncode == 0 and "--random" in usage.stdout
    listed = subprocess.run([sys.executable, "-c", blocked.replace("['x']", "['x', '--list']")], capture_output=True, text=True)
    assert listed.returncode == 0 and [line.split()[0] for line in listed.stdout.splitlines()] == NAMES


def test_source_declares_the_scenes():
    """Every bundled scene is one that the script can render, with the same objects."""
    tree = ast.parse((ROOT / "data" / "rendering" / "scenes.py").read_text(encoding="utf-8"))
    table = next(n.value for n in tree.body if isinstance(n, ast.AnnAssign) and n.target.id == "SCENES")
    declared = {key.value: ast.literal_eval(call.args[3]) for key, call in zip(table.keys, table.values, strict=True)}
    for name in NAMES:
        assert {str(i): text for i, text in declared[name].items()} == NOTES["scenes"][name]["objects"]
