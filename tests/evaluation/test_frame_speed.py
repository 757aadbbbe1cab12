"""The speed of frames, by a clock that says known seconds: rates, stages, shares, ratios and which way they go."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import ROOM, ScriptedClock, anew, moving_shapes, save_frames
from torch import nn
from tqdm import tqdm

from vosedu.beyond.cuda_graphs import Replayed
from vosedu.config import FAST, PAPER
from vosedu.evaluation import frame_speed
from vosedu.files.datasets import AnnotatedVideo
from vosedu.files.images import read_mask, write_mask

QUICK = {"channels": 4, "samples": 3, "capacity": 6, "gn_steps": 2, "update_every": 5}
NO_BAR = tqdm(disable=True)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Five frames in the place of a bundled scene."""
    folder = tmp_path_factory.mktemp("scene")
    frames, labels = moving_shapes(5, ROOM)
    save_frames(folder / "frames", frames)
    (folder / "masks").mkdir()
    for t, ids in enumerate(labels):
        write_mask(folder / "masks" / f"{t:05d}.png", ids)
    return AnnotatedVideo("five", folder / "frames", folder / "masks")


@pytest.fixture(autouse=True)
def small(monkeypatch, scene):
    """The same measurements at toy size."""
    monkeypatch.setattr(frame_speed, "PAPER", replace(PAPER, **QUICK))
    monkeypatch.setattr(frame_speed, "FAST", replace(FAST, **QUICK))
    monkeypatch.setattr(frame_speed, "SIZES", {"240p": (48, 64), "480p": (64, 96), "1080p": (96, 128)})
    monkeypatch.setattr(frame_speed, "LENGTHS", {True: (2, 5)})
    monkeypatch.setattr(frame_speed.datasets, "scene", lambda name: scene)


@pytest.fixture(scope="module")
def engine():
    return frame_speed.build("compact", "cpu")


def test_disks_lie_side_by_side():
    labels = frame_speed.disks((48, 96), 3)
    assert [np.argwhere(labels == n + 1).mean(0).round().tolist() for n in range(3)] == [[24, 16], [24, 48], [24, 80]]
    areas = [(labels == n + 1).sum() for n in range(3)]
    assert max(areas) - min(areas) <= 2 and areas[0] == pytest.approx(np.pi * (0.35 * 32) ** 2, rel=0.1)


def test_frames_are_timed_with_a_memory_that_is_full(engine):
    video, frames = frame_speed.begin(engine, frame_speed.PAPER, (64, 96), 2)
    assert video.targets.memory.filled == 6 and video.ids == [1, 2] and (video.targets.memory.gamma > 0).all()
    assert frames[0].shape == (64, 96, 3) and video.config.channels == 4


def test_a_rate_counts_the_updates_share(engine, monkeypatch):
    """Three frames of 2, 3 and 7 s, and an update of 5 s every fifth frame: 3 + 1 s a frame."""
    video, frames = frame_speed.begin(engine, frame_speed.PAPER, (64, 96), 1)
    seconds = iter([dict.fromkeys(frame_speed.STAGES, 10.0), {
        "features": 16.0, "target model": 10.3, "refinement": 13.0, "aggregation": 10.6, "memory": 10.9, "update": 99.0}])
    monkeypatch.setattr(video, "stopwatch", SimpleNamespace(
        begin=lambda: None, lap=lambda stage: None, seconds=lambda: next(seconds)))
    clock = ScriptedClock(2.0, 3.0, 7.0, update=[5.0, 4.0, 50.0])
    row = frame_speed.frame_rate(clock, video, frame_speed.PAPER, frames, 1.0)
    assert clock.one == [] and clock.asked == [(3, ["update"])]
    assert row["seconds"] == 4.0 and row["frames per second"] == 0.25
    assert row["stages"] == pytest.approx({"features": 2.0, "target model": 0.1, "refinement": 1.0, "aggregation": 0.2,
                                           "memory": 0.3, "update": 1.0})
    assert row["share of all but F and R"] == pytest.approx((0.1 + 0.2 + 0.3 + 1.0) / 4.0)


def test_frames_are_stepped_until_the_budget_is_spent(engine):
    video, frames = frame_speed.begin(engine, frame_speed.PAPER, (48, 64), 1)
    before, clock = video.frame_index, ScriptedClock(*[1.0] * 5, update=[1.0])
    frame_speed.frame_rate(clock, video, frame_speed.PAPER, frames, 4.5)
    assert clock.one == [] and video.frame_index == before + 5


def test_rates_over_presets_sizes_and_objects(engine, monkeypatch):
    """Bytes per object: D, and M at its full capacity, in float32."""
    monkeypatch.setattr(frame_speed, "frame_rate", lambda clock, video, config, frames, budget: {"ids": video.ids})
    found = frame_speed.frame_rates(ScriptedClock(), engine, True, 1.0, NO_BAR)
    assert list(found) == [f"{p}, {s}, {n}" for p in ("paper", "fast") for s in ("240p", "480p") for n in (1, 2)]
    for name, row in found.items():
        h, w = (3, 4) if "240p" in name else (4, 6)
        model = 256 * 4 + 4 + 9 * 4
        memory = 6 * ((4 + 4 + 1) * h * w + 1) + 6 + 1  # projections, stencil, right-hand side, constant; gamma and the newest
        assert row["bytes per object"] == 4 * (model + memory) and row["ids"] == list(range(1, int(name[-1]) + 1))


def test_flops_are_those_of_the_convolutions(engine):
    """F: two per weight and output position; divided by the median of the seconds."""
    found = frame_speed.networks(ScriptedClock(call=[0.5, 0.25, 4.0]), engine, (64, 96), 3)
    flops = []
    hooks = [m.register_forward_hook(lambda m, i, o: flops.append(2 * m.weight.numel() * o.shape[2] * o.shape[3]))
             for m in engine.backbone.modules() if isinstance(m, nn.Conv2d)]
    engine.without_graphs().features(np.zeros((1, 64, 96, 3), np.uint8))
    for hook in hooks:
        hook.remove()
    assert found["F"]["FLOP"] == sum(flops) and found["F"]["seconds"] == 0.5 and found["F"]["FLOP/s"] == sum(flops) / 0.5
    assert found["R"]["FLOP"] > 1e6 and found["R"]["FLOP/s"] == found["R"]["FLOP"] / 0.5


def test_a_shortcut_is_as_many_times_faster_as_what_it_replaces_takes_longer(monkeypatch):
    """float32 4 and 6 s, bfloat16 2 and 2 s: 2 to 3 times as fast; launched 12 and 12 s, replayed 4 and 6: 2 to 3 times."""
    built = frame_speed.build

    def replaying(*args, **kwargs):
        segmenter = built(*args, **kwargs)
        segmenter.replayed = {"F": Replayed(segmenter._maps, anew), "R": Replayed(segmenter._refine, anew)}
        return segmenter

    monkeypatch.setattr(frame_speed, "build", replaying)
    clock = ScriptedClock(float32=[4.0, 6.0], bfloat16=[2.0, 2.0], launched=[12.0, 12.0])
    found = frame_speed.shortcuts(clock, "compact", (48, 64), 2)
    assert clock.asked == [(2, ["float32", "bfloat16", "launched"])] * 2
    expected = {"median": 2.5, "least": 2.0, "greatest": 3.0}
    assert found == {"bfloat16": {"F": expected, "R": expected}, "CUDA graphs": {"F": expected, "R": expected}, "graphs": "on"}
    assert frame_speed.shortcut_lines(found) == [
        "bfloat16 in place of float32: F 2.50 times as fast (2.00 to 3.00), R 2.50 times as fast (2.00 to 3.00)",
        "CUDA graphs on: F 2.50 times as fast (2.00 to 3.00), R 2.50 times as fast (2.00 to 3.00)"]


def test_shortcuts_that_a_device_has_not_are_said_to_be_absent():
    found = frame_speed.shortcuts(ScriptedClock(float32=[4.0], bfloat16=[2.0]), "compact", (48, 64), 1)
    assert found["CUDA graphs"] == {} and found["graphs"] == "off: no CUDA device"
    none = {"bfloat16": {}, "CUDA graphs": {}, "graphs": "off: no CUDA device"}  # as on MPS
    assert frame_speed.shortcut_lines(none) == ["bfloat16 in place of float32: not on this device",
                                                "CUDA graphs off: no CUDA device"]


def test_live_learning_is_set_against_the_passes_of_its_samples(engine, monkeypatch):
    """Learning 6 and 9 s, the three passes 4 and 3 s: 1.5 and 3 times."""
    seen = []
    monkeypatch.setattr(frame_speed.Segmenter, "features", lambda self, images: seen.append(images.shape))
    monkeypatch.setattr(frame_speed.Segmenter, "start", lambda self, frame, mask: seen.append((frame.shape, mask.shape)))
    clock = ScriptedClock(passes=[4.0, 3.0], learning=[6.0, 9.0])
    found = frame_speed.live_learning(clock, engine, 2)
    assert found["ratio"] == {"median": 2.25, "least": 1.5, "greatest": 3.0} and found["seconds"] == clock.several
    assert seen == [*[(1, 48, 64, 3)] * 3, ((48, 64, 3), (48, 64))] and clock.asked == [(2, ["passes", "learning"])]


def test_overlap_says_what_each_costs_alone_and_all_together(engine, tmp_path, monkeypatch):
    """Seconds per frame that is computed, four of five; the first frame's learning is no part of the sum. All masks are
    written, at the scene's size; computing is at the rows of 480p."""
    sides, start = [], frame_speed.Segmenter.start
    monkeypatch.setattr(frame_speed.Segmenter, "start", lambda self, *args: sides.append(self.short_side) or start(self, *args))
    clock = ScriptedClock(8.0, 4.0, 2.0, 3.0, 9.0)
    assert frame_speed.overlap(clock, engine, tmp_path) == {
        "decoding": 2.0, "computing": 1.0, "writing": 0.5, "together": 1.5}
    assert sorted(p.name for p in tmp_path.iterdir()) == [*(f"{t:05d}.png" for t in range(5)), "x.png"]
    assert read_mask(tmp_path / "00004.png").shape == ROOM and clock.one == [] and sides == [64, 64, 64]


def test_memory_is_read_after_the_frames_that_are_named(engine, monkeypatch):
    steps, step = [], frame_speed.Video.step
    monkeypatch.setattr(frame_speed.Video, "step", lambda video, frame: steps.append(video.ids) or step(video, frame))
    monkeypatch.setattr(frame_speed, "resident", lambda: 1000 * len(steps))
    assert frame_speed.long_video(engine, True, NO_BAR) == {2: {"host": 2000, "device": 0}, 5: {"host": 5000, "device": 0}}
    assert steps == [[1, 2]] * 5
