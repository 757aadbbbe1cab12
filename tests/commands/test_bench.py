"""The command `bench`: every part is measured once, and the table and the figure show what was measured. Its seconds are not
tested; tests/evaluation has how they become rates and ratios."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import ROOM, moving_shapes, save_frames
from PIL import Image

from vosedu.commands import bench, main
from vosedu.config import FAST, PAPER
from vosedu.evaluation import frame_speed, solver_speed
from vosedu.files.datasets import AnnotatedVideo
from vosedu.files.images import write_mask


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The same measurements at toy size, on five frames in the place of a bundled scene."""
    quick = {"channels": 4, "samples": 3, "capacity": 6, "gn_steps": 2}
    for module in (frame_speed, solver_speed, bench):
        monkeypatch.setattr(module, "PAPER", replace(PAPER, **quick))
    monkeypatch.setattr(frame_speed, "FAST", replace(FAST, **quick))
    sizes = {"240p": (48, 64), "480p": (64, 96), "1080p": (96, 128)}
    for module in (frame_speed, bench):
        monkeypatch.setattr(module, "SIZES", sizes)
        monkeypatch.setattr(module, "LENGTHS", {True: (2, 5)})
    monkeypatch.setattr(bench, "frame_rates", lambda clock, segmenter, quick, budget, bar: frame_speed.frame_rates(
        clock, segmenter, quick, 0.0, bar))  # three frames each
    monkeypatch.setattr(solver_speed, "SOLVER_SIZES", {True: (8, (3, 4), (48, 64))})
    frames, labels = moving_shapes(5, ROOM)
    save_frames(tmp_path / "scene", frames)
    (tmp_path / "truth").mkdir()
    write_mask(tmp_path / "truth" / "00000.png", labels[0])
    video = AnnotatedVideo("five", tmp_path / "scene", tmp_path / "truth")
    monkeypatch.setattr(frame_speed.datasets, "scene", lambda name: video)


def test_every_part_is_measured_printed_and_drawn(small, tmp_path, capsys):
    """A whole run, quick; JSON, table and figure are there, and every stage took its time."""
    assert main(["bench", "--quick", "--repeats", "1", "--device", "cpu", "--quiet", "--json", str(tmp_path / "o" / "b.json"),
                 "--figure", str(tmp_path / "b.png")]) == 0
    result = json.loads((tmp_path / "o" / "b.json").read_text())
    for part in ("first frame", "update"):
        ends = result["solver"][part]["end loss"]
        assert ends["engine"] == pytest.approx(ends["usual"], rel=1e-3)
    assert set(result["frames"]) == {f"{p}, {s}, {n}" for p in ("paper", "fast") for s in ("240p", "480p") for n in (1, 2)}
    for row in result["frames"].values():
        assert set(row["stages"]) == set(frame_speed.STAGES) and min(row["stages"].values()) > 0
        assert 0 < row["share of all but F and R"] < 1
    assert list(result["long video"]) == ["2", "5"] and result["backbone"] == "compact" and result["quick"]
    assert set(result["overlap"]) == {"decoding", "computing", "writing", "together"}
    text = capsys.readouterr().out
    assert text.count("\n| paper") == 4 and text.count("\n| fast") == 4 and "nan" not in text
    assert "bfloat16 in place of float32: F " in text and "CUDA graphs off: no CUDA device" in text
    with Image.open(tmp_path / "b.png") as image:
        assert image.size == (1100, 640) and np.asarray(image.convert("L")).min() < 100


def row(seconds, rate, share, held, refinement):
    stages = {stage: 0.001 * (n + 1) for n, stage in enumerate(frame_speed.STAGES)}
    return {"seconds": seconds, "frames per second": rate, "share of all but F and R": share, "bytes per object": held,
            "stages": {**stages, "refinement": refinement}}


RESULT = {
    "matrix product FLOP/s": 100e9,
    "solver": {
        **{name: {"samples": 20, "channels": 256, "labels": (240, 432), "times faster": {
            "median": ratio, "least": ratio - 1, "greatest": ratio + 2}, "seconds": {
                "engine": [0.5, 0.1, 0.2], "usual": [3.0, 1.0, 2.0]}, "end loss": {"engine": 1.25, "usual": 1.5},
            "FLOP/s": 25e9} for name, ratio in (("first frame", 11.0), ("update", 31.0))},
        "memory of an object": {"bytes": {"engine": 7e6, "usual": 42e6}, "times smaller": 6.0}},
    "live learning": {"ratio": {"median": 1.5, "least": 1.25, "greatest": 1.75}},
    "networks": {"F": {"FLOP": 3e9, "FLOP/s": 50e9}, "R": {"FLOP": 4e9, "FLOP/s": 40e9}},
    "shortcuts": {"bfloat16": {}, "CUDA graphs": {}, "graphs": "off: no CUDA device"},
    "frames": {"paper, 240p, 1": row(0.1, 10.0, 0.25, 1e6, 0.04), "paper, 240p, 2": row(0.13, 7.5, 0.5, 2e6, 0.07)},
    "overlap": {"decoding": 0.002, "computing": 0.3, "writing": 0.004, "together": 0.31},
    "long video": {60: {"host": 500e6}, 600: {"host": 501e6}},
}


def test_the_table_has_every_figure_at_its_place():
    lines = bench.table(RESULT).splitlines()
    assert lines[2] == ("| first frame: 20 samples, 256 channels, 432x240 labels | **11.0** (10.0 to 13.0) | 0.200, 2.00 | "
                        "1.25, 1.5 | 25 GFLOP/s, 25 % of a matrix product's 100 |")
    assert lines[3].startswith("| update: 20 samples") and "**31.0** (30.0 to 33.0)" in lines[3]
    assert "- Memory of an object: 7.0 MB against 42.0 MB with labels kept at full size, 6.0 times smaller" in lines
    assert any("features included: 1.50 times (1.25 to 1.75) the time of its 20 passes of F" in line for line in lines)
    assert "- F on one image: 3.0 GFLOP, 50 GFLOP/s, 50 % of a matrix product's 100" in lines
    assert "- R on one image: 4.0 GFLOP, 40 GFLOP/s, 40 % of a matrix product's 100" in lines
    # 30 ms more for the second object, of 100; R takes 40 of them
    assert "- A second object at 240p costs 0.30 of the first, R 0.40 of it" in lines
    assert ("- A 480p frame: decoding 2 ms, computing 300 ms, writing 4 ms, each alone; all together as `segment` runs them "
            "310 ms") in lines
    assert "- Host memory of one long video: 500 MB at frame 60, 501 MB at frame 600" in lines
    columns = [cell.strip() for cell in lines[-4].strip("|").split("|")]
    cells = [cell.strip() for cell in lines[-2].strip("|").split("|")]
    shown = dict(zip(columns, cells, strict=True))
    assert shown == {"preset, size, objects": "paper, 240p, 1", "frames per second": "10.00", "ms": "100", "features": "1.0",
                     "target model": "2.0", "refinement": "40.0", "aggregation": "4.0", "memory": "5.0", "update": "6.0",
                     "all but F and R": "25.0 %", "MB per object": "1.0"}


def test_what_it_cannot_measure_is_refused_before_it_begins(capsys):
    assert main(["bench", "--repeats", "0"]) == 2 and "--repeats is 0: give 1 or more" in capsys.readouterr().err
    assert main(["bench", "--backbone", "vgg"]) == 2 and "unknown backbone" in capsys.readouterr().err
