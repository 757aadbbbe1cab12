"""What is said of the solver's speed, by a clock that says known seconds: which way ratios go, FLOP, bytes, end losses."""

from dataclasses import replace

import pytest
import torch
from helpers import ScriptedClock

from vosedu.config import PAPER
from vosedu.evaluation import solver_speed

SIZES = {True: (8, (3, 4), (48, 60))}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(solver_speed, "SOLVER_SIZES", SIZES)
    monkeypatch.setattr(solver_speed, "PAPER", replace(PAPER, channels=4, samples=3, capacity=6, gn_steps=2))


def test_times_faster_is_the_usual_form_over_the_engine():
    """Engine 1, 2 and 1 s, usual 10, 40 and 30 s, pair by pair: 10, 20 and 30 times."""
    clock = ScriptedClock(engine=[1.0, 2.0, 1.0], usual=[10.0, 40.0, 30.0])
    found = solver_speed.solver(clock, True, 3)
    assert clock.asked == [(3, ["engine", "usual"])] * 2
    for name, samples, channels, products in (("first frame", 3, 8, (5 + 10) + 2), ("update", 6, 4, 10 + 1)):
        row = found[name]
        assert row["times faster"] == {"median": 20.0, "least": 10.0, "greatest": 30.0}
        assert (row["samples"], row["channels"], row["maps"], row["labels"]) == (samples, channels, (3, 4), (48, 60))
        # each product, and each gradient, filters and correlates with nine taps, a multiplication and an addition each
        assert row["FLOP/s"] == products * 2 * 2 * 9 * samples * channels * 3 * 4 / 1.0
        assert row["end loss"]["engine"] == pytest.approx(row["end loss"]["usual"], rel=1e-3)
        assert row["end loss"]["engine"] > 0


def test_bytes_are_those_of_float32_maps():
    """Six samples of four channels on 3 x 4 maps: with six numbers a position and one a sample, or two label maps."""
    found = solver_speed.solver(ScriptedClock(engine=[1.0], usual=[1.0]), True, 1)["memory of an object"]
    ours, usual = 4 * 6 * (4 * 12 + 5 * 12 + 1), 4 * 6 * (4 * 12 + 2 * 48 * 60)
    assert found["bytes"] == {"engine": ours, "usual": usual} and found["times smaller"] == usual / ours


def test_both_start_from_the_same_numbers_and_end_apart_from_them():
    """A pair's loss falls from what the start has; engine and usual end at the same weights."""
    x, y, v, gamma = solver_speed.random_samples(3, 8, (3, 4), (48, 60), "cpu")
    assert x.shape == (3, 8, 3, 4) and y.shape == v.shape == (3, 48, 60)
    assert gamma.tolist() == [pytest.approx([0.5, 0.25, 0.25])]
    assert set(y.unique().tolist()) == {0, 1} and 0.02 < y.mean() < 0.2
    for make in (solver_speed.first_frame_pair, solver_speed.update_pair):
        engine, usual, loss = make(x, y, v, gamma)
        mine, its = engine(), usual()
        assert all(torch.allclose(a, b, rtol=1e-2, atol=1e-3) for a, b in zip(mine, its, strict=True))
        assert loss(mine) < 0.9 * loss(tuple(torch.zeros_like(part) for part in mine))


def test_the_sweep_names_each_by_what_it_is(monkeypatch):
    """Medians of either, by the number of samples; three numbers where it is to be quick."""
    counts, run = [], []

    def pair(x, y, v, gamma):
        counts.append(len(x))
        return lambda: run.append("engine"), lambda: run.append("usual"), None

    monkeypatch.setattr(solver_speed, "first_frame_pair", pair)
    clock = ScriptedClock(engine=[1.0, 3.0, 2.0], usual=[9.0, 7.0, 8.0])
    assert solver_speed.samples_sweep(clock, True, 3) == {n: {"engine": 2.0, "usual": 8.0} for n in (5, 10, 20)}
    assert counts == [5, 10, 20] and run == ["engine", "usual"] * 3 and clock.asked == [(3, ["engine", "usual"])] * 3
    solver_speed.samples_sweep(clock, False, 3)
    assert counts[3:] == [5, 10, 20, 40, 80]
