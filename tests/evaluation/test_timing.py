"""Timings with a clock that is known: order of the calls, direction of the ratios, FLOP/s."""

import time

import pytest
import torch

from vosedu.evaluation.timing import Clock, ceiling, ratios

CPU = torch.device("cpu")


def test_calls_take_turns_after_one_that_warms_up():
    called = []
    found = Clock(CPU).in_turn(3, slow=lambda: called.append("slow"), fast=lambda: called.append("fast"))
    assert called == ["slow", *["slow", "fast"] * 3]
    assert list(found) == ["slow", "fast"] and all(len(seconds) == 3 for seconds in found.values())


def test_seconds_are_those_of_the_call():
    found = Clock(CPU).in_turn(3, long=lambda: time.sleep(0.08), short=lambda: time.sleep(0.01))
    assert all(0.08 <= s < 2 for s in found["long"]) and min(found["short"]) < 0.08 and all(s >= 0.01 for s in found["short"])


def test_ratios_are_slow_over_fast_pair_by_pair():
    assert ratios([2.0, 9.0, 4.0, 8.0], [1.0, 3.0, 4.0, 1.0]) == {"median": 2.5, "least": 1.0, "greatest": 8.0}
    with pytest.raises(ValueError):
        ratios([1.0, 2.0], [1.0])


def test_flops_of_a_matrix_product_are_twice_the_cube_of_its_size_by_seconds():
    class Known(Clock):
        def in_turn(self, repeats, **calls):
            (name,) = calls
            assert calls[name]().shape == (1536, 1536)
            self.repeats = repeats
            return {name: [0.25, 7.0, 0.5]}

    clock = Known(CPU)
    assert ceiling(clock, 1) == 2 * 1536**3 / 0.5 and clock.repeats == 3
    assert ceiling(clock, 5) == 2 * 1536**3 / 0.5 and clock.repeats == 5
