"""Costs, with a clock that is set by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import FINDS, ROOM, moving_shapes

from vosedu.rivals import bench
from vosedu.rivals.bench import Cost, Timed, held


class Slow:
    """An engine that takes 5 seconds for a first frame, 2 for a step, 7 for one in which an object enters."""

    def __init__(self, clock):
        self.clock, self.ids, self.frame_index, self.labels = clock, [1], 0, torch.zeros(2, 2)
        self.targets = SimpleNamespace(state=lambda: {"a": torch.zeros(len(self.ids), 6), "b": torch.ones(4) > 0})

    def working_size(self, size):
        return size

    def start(self, frame, labels, seed):
        assert seed == 9
        self.clock.now += 5
        return self

    def step(self, frame, new_labels=None):
        self.frame_index += 1
        self.clock.now += 2 if new_labels is None else 7
        self.ids = self.ids if new_labels is None else [1, 2]
        return self.labels


def test_first_frames_steps_and_bytes_by_hand(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock.now)
    timed = Timed(Slow(clock))
    assert timed.cost is None and timed.working_size((3, 4)) == (3, 4)
    state = timed.start(None, None, 9)
    assert timed.cost == Cost(1, 5.0, 0, 0.0, 6 * 4 + 4)
    state.step(None)
    state.step(None, np.ones(1))
    state.step(None)
    assert timed.cost == Cost(objects=2, first=12.0, frames=2, steps=4.0, held=12 * 4 + 4)
    assert state.ids == [1, 2] and state.frame_index == 3
    assert Cost(1, 2.0, 3, 4.0, 5) + timed.cost == Cost(3, 14.0, 5, 8.0, 57)


def test_what_d_keeps_is_its_model_and_its_memory(quick_segmenter):
    frames, labels = moving_shapes(1, ROOM)
    video = quick_segmenter.start(frames[0], labels[0])
    m, d = video.targets.memory, video.targets.model
    k, cells = FINDS.samples, ROOM[0] * ROOM[1] // 256
    numbers = d.projection.numel() + d.offset.numel() + d.taps.numel() + m.newest.numel() + k * (cells * (96 + 4 + 1) + 1 + 1)
    assert held(video) == pytest.approx(4 * numbers, abs=8)
