"""The bench measures what it says: same end losses, every stage, a picture. Its seconds are not tested."""

from dataclasses import replace

import pytest
import torch
from helpers import anew
from PIL import Image
from tqdm import tqdm

from vosedu import config
from vosedu.commands import bench
from vosedu.config import FAST, PAPER
from vosedu.cuda_graphs import Replayed
from vosedu.evaluation import frame_speed, solver_speed, timing


@pytest.fixture
def small(monkeypatch):
    """The same measurements at toy size."""
    quick = {"channels": 4, "samples": 3, "capacity": 6, "gn_steps": 2}
    monkeypatch.setattr(config, "PAPER", replace(PAPER, **quick))
    monkeypatch.setattr(config, "FAST", replace(FAST, **quick))
    monkeypatch.setattr(frame_speed, "SIZES", {"240p": (48, 64), "480p": (64, 96), "1080p": (96, 128)})
    monkeypatch.setattr(solver_speed, "SOLVER_SIZES", {True: (8, (3, 4), (48, 64))})
    monkeypatch.setattr(frame_speed, "LENGTHS", {True: (2, 5)})


def test_every_part_is_measured_printed_and_drawn(small, tmp_path):
    bar = tqdm(disable=True)
    result = bench.measure_all("compact", "cpu", False, True, 1, tmp_path, bar)
    for part in ("first frame", "update"):
        ends = result["solver"][part]["end loss"]
        assert ends["engine"] == pytest.approx(ends["usual"], rel=1e-3)
    assert result["solver"]["memory of an object"]["times smaller"] > 1
    assert set(result["frames"]) == {f"{p}, {s}, {n}" for p in ("paper", "fast") for s in ("240p", "480p") for n in (1, 2)}
    for row in result["frames"].values():
        assert set(row["stages"]) == set(frame_speed.STAGES) and min(row["stages"].values()) > 0
        assert 0 < row["share of all but F and R"] < 1
    assert list(result["long video"]) == [2, 5]
    assert all(r["least"] > 0 for r in result["shortcuts"]["bfloat16"].values())
    text = bench.table(result)
    assert "bfloat16 (--autocast): F " in text and "CUDA graphs off: no CUDA device" in text
    assert text.count("\n| paper") == 4 and text.count("\n| fast") == 4 and "nan" not in text
    bench.draw(result, tmp_path / "bench.png")
    with Image.open(tmp_path / "bench.png") as image:
        assert image.size[0] > 800


def test_replays_are_timed_against_launches(small, monkeypatch):
    built = frame_speed.build

    def replaying(*args, **kwargs):
        segmenter = built(*args, **kwargs)
        segmenter.replayed = {"F": Replayed(segmenter._maps, anew), "R": Replayed(segmenter._refine, anew)}
        return segmenter

    monkeypatch.setattr(frame_speed, "build", replaying)
    found = frame_speed.shortcuts(timing.Clock(torch.device("cpu")), "compact", (48, 64), 2)
    assert {name: sorted(row) for name, row in found.items() if name != "graphs"} == {
        "bfloat16": ["F", "R"], "CUDA graphs": ["F", "R"]}
    assert frame_speed.shortcut_lines(found)[1].startswith("CUDA graphs on: F ")
    none = {"bfloat16": {}, "CUDA graphs": {}, "graphs": "off: no CUDA device"}  # as on MPS
    assert frame_speed.shortcut_lines(none) == ["bfloat16 (--autocast): not on this device", "CUDA graphs off: no CUDA device"]


def test_a_full_memory_is_what_frames_are_timed_with(small):
    segmenter = frame_speed.build("compact", "cpu")
    video, _ = frame_speed.begin(segmenter, config.PAPER, (64, 96), 2)
    assert video.targets.memory.filled == config.PAPER.capacity and video.ids == [1, 2]
