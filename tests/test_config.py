"""Presets hold the numbers of Section 3.5, and nothing out of range gets in."""

from dataclasses import fields

import pytest

from vosedu import BEST, FAST, PAPER, Config, InputError
from vosedu.config import describe


def test_paper_and_fast_are_section_3_5():
    p = PAPER
    assert (p.channels, p.samples, p.first_weight, p.target_share) == (96, 20, 2.0, 0.1)
    assert p.gn_schedule() == [5, 10, 10, 10, 10] and (p.cg_update, p.update_every) == (10, 8)
    assert (p.learning_rate, p.capacity) == (0.1, 80)
    changed = {f.name: getattr(FAST, f.name) for f in fields(Config) if getattr(FAST, f.name) != getattr(PAPER, f.name)}
    assert changed == {"channels": 32, "update_every": 16, "gn_steps": 4, "cg_update": 5}
    assert FAST.gn_schedule() == [5, 10, 10, 10]


def test_every_setting_is_described():
    for f in fields(Config):
        assert f.name in describe() and f.metadata["help"] and f.metadata["source"]


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"target_share": 1.0}, {"share_rule": "mean"}, {"capacity": 20},
                                   {"learning_rate": float("nan")}, {"channels": 2.5}, {"gn_steps": "five"}])
def test_out_of_range_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Config(**wrong)


def test_best_differs_only_by_named_switches():
    changed = {f.name for f in fields(Config) if getattr(BEST, f.name) != getattr(PAPER, f.name)}
    assert changed == {"conditioning", "start_scale", "projection_decay", "filter_decay", "first_share", "window_share",
                       "window_joint", "window_room", "leap", "nearest"}
