"""The bench measures what it says: same end losses, every stage, a picture. Its seconds are not tested."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from test_graphs import anew
from tqdm import tqdm

from vosedu import bench
from vosedu.config import FAST, PAPER
from vosedu.graphs import Replayed


@pytest.fixture
def small(monkeypatch):
    """The same measurements at toy size."""
    quick = {"channels": 4, "samples": 3, "capacity": 6, "gn_steps": 2}
    monkeypatch.setattr(bench, "PAPER", replace(PAPER, **quick))
    monkeypatch.setattr(bench, "FAST", replace(FAST, **quick))
    monkeypatch.setattr(bench, "SIZES", {"240p": (48, 64), "480p": (64, 96), "1080p": (96, 128)})
    monkeypatch.setattr(bench, "SOLVER_SIZES", {True: (8, (3, 4), (48, 64))})
    monkeypatch.setattr(bench, "LENGTHS", {True: (2, 5)})


def test_every_part_is_measured_printed_and_drawn(small, tmp_path):
    bar = tqdm(disable=True)
    result = bench.measure("compact", "cpu", False, True, 1, tmp_path, bar)
    for part in ("first frame", "update"):
        ends = result["solver"][part]["end loss"]
        assert ends["engine"] == pytest.approx(ends["usual"], rel=1e-3)
    assert result["solver"]["memory of an object"]["times smaller"] > 1
    assert set(result["frames"]) == {f"{p}, {s}, {n}" for p in ("paper", "fast") for s in ("240p", "480p") for n in (1, 2)}
    for row in result["frames"].values():
        assert set(row["stages"]) == set(bench.STAGES) and min(row["stages"].values()) > 0
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
    built = bench.build

    def replaying(*args, **kwargs):
        segmenter = built(*args, **kwargs)
        segmenter.replayed = {"F": Replayed(segmenter._maps, anew), "R": Replayed(segmenter._refine, anew)}
        return segmenter

    monkeypatch.setattr(bench, "build", replaying)
    found = bench.shortcuts(bench.Clock(torch.device("cpu")), "compact", (48, 64), 2)
    assert {name: sorted(row) for name, row in found.items() if name != "graphs"} == {
        "bfloat16": ["F", "R"], "CUDA graphs": ["F", "R"]}
    assert bench.shortcut_lines(found)[1].startswith("CUDA graphs on: F ")
    none = {"bfloat16": {}, "CUDA graphs": {}, "graphs": "off: no CUDA device"}  # as on MPS
    assert bench.shortcut_lines(none) == ["bfloat16 (--autocast): not on this device", "CUDA graphs off: no CUDA device"]


def test_a_full_memory_is_what_frames_are_timed_with(small):
    segmenter = bench.build("compact", "cpu")
    video, _ = bench.begin(segmenter, bench.PAPER, (64, 96), 2)
    assert video.memory.filled == bench.PAPER.capacity and video.ids == [1, 2]
