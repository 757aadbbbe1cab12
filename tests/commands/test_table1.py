"""Table 1: what sets its rows apart, their figures against `evaluate` under the same settings, and the rate they ran at."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import FINDS, QUICK, ROOM, moving_shapes

from vosedu.commands import main, table1
from vosedu.commands.flags import Settings
from vosedu.commands.rows import base_rows, chosen_rows, davis_rows
from vosedu.config import BEST, FAST, PAPER, departures
from vosedu.errors import InputError
from vosedu.evaluation.metrics import SequenceScorer
from vosedu.features import build_backbone
from vosedu.segmenter import Video
from vosedu.training.baselines import BaseSegmenter
from vosedu.weights import BUNDLED, BUNDLED_BASE, BUNDLED_DV17


@pytest.mark.parametrize("config", [BEST, PAPER, FINDS])
def test_the_rows_differ_in_what_the_table_says(segmenter, config):
    """D-only has no R and no update; the next no update; the next is as it is; the last has the numbers of Section 3.5. None
    has a window, no rule against leaps and no bank; where the settings have them, three rows more add one each."""
    asked = segmenter.changed(config=config)
    rows = table1.our_rows(asked)
    more = {name: rows.pop(name) for name in ("Ours + window", "+ no leaps", "Ours (default)") if name in rows}
    if config is BEST:
        assert more.pop("Ours (default)") is asked
        assert [row.config for row in more.values()] == [replace(BEST, leap=0.0, nearest=0.0), replace(BEST, nearest=0.0)]
    else:
        assert not more
    config = replace(config, window_share=0.0, leap=0.0, nearest=0.0)
    assert list(rows) == ["D-only", "Ours - no update", "Ours", "Ours (fast)"]
    assert [row.refinement for row in rows.values()] == [None, *[segmenter.refinement] * 3]
    assert rows["D-only"].config == rows["Ours - no update"].config == replace(config, cg_update=0)
    assert rows["Ours"].config == config
    fast = rows["Ours (fast)"].config
    assert (fast.channels, fast.update_every, fast.gn_steps, fast.cg_update) == (32, 16, 4, 5)
    assert replace(fast, channels=96, update_every=8, gn_steps=5, cg_update=10) == replace(config, gn_steps=5)
    assert all(row.backbone is segmenter.backbone and row.short_side == asked.short_side for row in rows.values())
    assert asked.refinement is segmenter.refinement


@pytest.mark.parametrize(("less", "names"), [
    ({"nearest": 0.0}, ["Ours + window", "Ours (default)"]), ({"leap": 0.0, "nearest": 0.0}, ["Ours (default)"]),
    ({"leap": 0.0}, ["Ours + window", "Ours (default)"]),
])
def test_no_row_is_there_twice(segmenter, less, names):
    """What is switched off has no row: it would be the row after it once more."""
    rows = table1.our_rows(segmenter.changed(config=replace(BEST, **less)))
    assert list(rows)[4:] == names
    assert len({row.config for row in list(rows.values())[2:]}) == len(rows) - 2


def test_departures_are_what_neither_preset_says():
    assert departures(PAPER) == {} and departures(FAST) == {}
    assert departures(BEST) == {"conditioning": "scale", "start_scale": 0.1, "projection_decay": 1000.0,
                                "filter_decay": 1000.0, "first_share": 0.5, "window_share": 0.06, "window_joint": 1.3,
                                "window_room": 2.0, "leap": 0.1, "nearest": 0.3}
    assert departures(replace(PAPER, channels=7, samples=3)) == {"samples": 3}, "FAST has channels of its own"


def test_ours_dv17_is_ours_with_another_refinement_network_and_goes_with_the_bundled_weights_alone(segmenter):
    (row,) = davis_rows(segmenter, Settings()).values()
    ours = table1.our_rows(segmenter)["Ours"]
    assert row.config == ours.config and row.backbone is ours.backbone and row.targets is ours.targets
    mine, other = (r.refinement.state_dict() for r in (ours, row))
    assert mine.keys() == other.keys() and not any(torch.equal(mine[k], other[k]) for k in mine if k.endswith("weight"))
    assert davis_rows(segmenter, Settings(weights=[BUNDLED])) == davis_rows(segmenter, Settings(backbone="resnet18")) == {}


def test_the_base_nets_rows_are_there_where_there_is_one(segmenter):
    assert base_rows(segmenter, None, True) == {}
    for tuned, names in ((False, ["Base net"]), (True, ["Base net", "Base net + F-T"])):
        rows = base_rows(segmenter, BUNDLED_BASE, tuned)
        assert list(rows) == names and [row.fine_tune for row in rows.values()] == [False, True][: len(names)]
        assert all(isinstance(row, BaseSegmenter) and row.segmenter is segmenter for row in rows.values())


class Painted:
    """A Base net that knows by heart: its logits are 1.5 inside of the mask that it was shown, and -1 elsewhere."""

    def __init__(self):
        self.encoder = self

    def to(self, device):
        return self

    def target(self, features, masks):
        return masks

    def __call__(self, features, target):
        return target

    def refinement(self, features, encoded, size):
        assert encoded.shape[1:] == size
        return 2.5 * encoded - 1


@pytest.mark.parametrize("rule", ["softmax", "min"])
def test_the_base_nets_masks_are_aggregated_by_the_rule_of_the_settings(quick_segmenter, rule):
    """As ours are: two objects that overlap in neither mask, probabilities by NumPy at one pixel of each kind."""
    frames, labels = moving_shapes(2, ROOM, objects=2)
    segmenter = quick_segmenter.changed(config=replace(FINDS, aggregation=rule))
    video = BaseSegmenter(segmenter, Painted()).start(frames[0], labels[0])
    found = video.step(frames[1])
    assert np.array_equal(found, labels[0]) and video.frame_index == 1
    for i in range(3):
        y, x = np.argwhere(labels[0] == i)[40]
        p = 1 / (1 + np.exp(-np.array([1.5 if labels[0][y, x] == n else -1.0 for n in (1, 2)])))
        p = np.array([(1 - p).prod() if rule == "softmax" else (1 - p).min(), *p])
        odds = p / (1 - p) if rule == "softmax" else np.exp(p / (1 - p))
        np.testing.assert_allclose(video.probabilities[:, y, x], odds / odds.sum(), rtol=1e-4)


def test_rows_are_chosen_by_name_in_the_order_of_the_table():
    rows = dict.fromkeys(("Base net", "D-only", "Ours"), None)
    assert list(chosen_rows(rows, None)) == list(rows)
    assert list(chosen_rows(rows, "Ours,Base net")) == ["Base net", "Ours"]
    with pytest.raises(InputError, match="no row 'Theirs' in the table: choose of Base net, D-only, Ours"):
        chosen_rows(rows, "Ours,Theirs")


def test_frames_per_second_are_all_frames_over_all_seconds(monkeypatch, tmp_path):
    """4 and 6 frames in 3 and 5 seconds: 1.25; J and F are those of the scorers."""
    sequences = [SimpleNamespace(name="a", frame_names=["0"] * 4), SimpleNamespace(name="b", frame_names=["0"] * 6)]
    taken, asked = {"a": 3.0, "b": 5.0}, []

    def resumable(engine, sequence, folder, seed, bar):
        asked.append((engine, sequence.name, folder, seed))
        scorer = SequenceScorer({1: 0}, len(sequence.frame_names))
        scorer.j[1], scorer.f[1] = ([0.5, 0.7], [0.2, 0.4]) if sequence.name == "a" else ([0.9], [0.1])
        return scorer, taken[sequence.name]

    monkeypatch.setattr(table1, "resumable_sequence", resumable)
    bar = SimpleNamespace(set_description=lambda text: None)
    found = table1.score("Ours", "engine", sequences, tmp_path, 3, bar)
    assert found["fps"] == 1.25 and found["J"]["mean"] == pytest.approx(0.75) and found["F"]["mean"] == pytest.approx(0.2)
    assert asked == [("engine", "a", tmp_path, 3), ("engine", "b", tmp_path, 3)]


def test_its_figures_are_those_of_evaluate_under_the_same_settings(davis, tmp_path, capsys, monkeypatch):
    """With the bundled networks, row by row; run again, nothing is repeated and the same is printed."""
    some = ["davis2017", "--root", str(davis), "--sequences", "two", *QUICK, "--update-every", "1"]
    assert main(["table1", *some, "--out", str(tmp_path / "t")]) == 0
    printed = capsys.readouterr().out
    saved = json.loads((tmp_path / "t" / "table1.json").read_text())["rows"]
    assert list(saved) == ["Base net", "Ours (DV17)", "D-only", "Ours - no update", "Ours", "Ours (fast)"]
    found = {row: (result["J"]["mean"], result["F"]["mean"]) for row, result in saved.items()}
    assert len(set(found.values())) == 6, "no row is another's"
    lines = {line[:18].strip(): line[18:].split() for line in printed.splitlines()[1:]}
    for row, (j, f) in found.items():
        assert lines[row] == [f"{j:.3f}", f"{f:.3f}", f"{(j + f) / 2:.3f}", f"{saved[row]['fps']:.2f}"]
        assert (j > 0.3 and f > 0.3) or row in ("Base net", "Ours (DV17)"), "they know no drawn shapes"
        kept = json.loads((tmp_path / "t" / row.replace(" ", "-") / "two.json").read_text())
        assert saved[row]["fps"] == pytest.approx(4 / kept["seconds"])
    fast = ["--channels", "32", "--update-every", "16", "--gn-steps", "4", "--cg-update", "5"]
    for row, flags in (("D-only", ["--no-refinement", "--cg-update", "0"]), ("Ours - no update", ["--cg-update", "0"]),
                       ("Ours", []), ("Ours (fast)", fast),
                       ("Ours (DV17)", ["--weights", str(BUNDLED), "--weights", str(BUNDLED_DV17)])):
        assert main(["evaluate", *some, *flags, "--json", str(tmp_path / "r.json")]) == 0
        its = json.loads((tmp_path / "r.json").read_text())
        assert found[row] == (its["J"]["mean"], its["F"]["mean"]), row
    monkeypatch.setattr(Video, "step", lambda *_: pytest.fail("segmented again"))
    capsys.readouterr()
    assert main(["table1", *some, "--out", str(tmp_path / "t")]) == 0 and capsys.readouterr().out == printed
    assert main(["table1", *some, "--out", str(tmp_path / "t"), "--rows", "Ours"]) == 0
    assert [line[:18].strip() for line in capsys.readouterr().out.splitlines()[1:]] == ["Ours"]


@pytest.mark.parametrize(("flags", "words"), [
    (["--rows", "Theirs"], "no row 'Theirs'"), (["--weights", "BUNDLED", "--fine-tuned"], "give it with --base"),
    (["--backbone", "resnet18", "--weights", "r18.pt"], "Table 1 needs a refinement network for resnet18"),
])
def test_what_it_cannot_do_is_one_line(davis, tmp_path, monkeypatch, capsys, flags, words):
    monkeypatch.chdir(tmp_path)
    if "r18.pt" in flags:
        torch.save(build_backbone("resnet18").body.state_dict(), "r18.pt")
    flags = [str(BUNDLED) if flag == "BUNDLED" else flag for flag in flags]
    assert main(["table1", "davis2017", "--root", str(davis), "--out", "t", *flags, *QUICK]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and not (tmp_path / "t").exists()
