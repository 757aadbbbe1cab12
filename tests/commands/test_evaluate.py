"""The command `evaluate` on a data set in DAVIS layout; tests/evaluation/test_scoring.py has YouTube-VOS from end to end."""

import json

import numpy as np
import pytest
from helpers import QUICK, ROOM, moving_shapes

from vosedu.commands import main
from vosedu.files.images import read_mask


def evaluate(davis, *more):
    return main(["evaluate", "davis2017", "--root", str(davis), *map(str, more)])


def result(path):
    return json.loads(path.read_text())


def assert_told_apart(result):
    """Objects are found, not perfectly, and J is not F nor one sequence the other: an exchange of any two would show."""
    rows = [result[m]["mean"] for m in "JF"] + [row[m] for row in result["sequences"].values() for m in ("J_mean", "F_mean")]
    assert all(0.3 < value < 1 for value in rows) and len(set(rows)) == len(rows)


def counted_j(folder, step):
    """J of either object over frames 1 and 2, from the masks on the disk, pixel by pixel: DAVIS leaves out the last frame."""
    _, truth = moving_shapes(4, ROOM, objects=2, step=step)
    found = [read_mask(folder / f"{t:05d}.png") for t in range(4)]
    return np.mean([[((found[t] == i) & (truth[t] == i)).sum() / ((found[t] == i) | (truth[t] == i)).sum() for t in (1, 2)]
                    for i in (1, 2)])


def test_it_reports_resumes_and_refuses_to_mix(davis, capsys):
    """Figures are those of the masks that it wrote; a sequence that is done is read back, J as J and F as F."""
    more = ["--out", davis / "out", "--json", davis / "r.json", *QUICK]
    assert evaluate(davis, *more) == 0
    first = result(davis / "r.json")
    assert_told_apart(first)
    assert set(first) >= {"J", "F", "JF_mean", "fps", "sequences", "config", "versions", "machine"}
    for name, step in (("one", 5), ("two", 8)):
        row = first["sequences"][name]
        assert row["J_mean"] == pytest.approx(counted_j(davis / "out" / name, step))
        assert row.keys() == {"J_mean", "F_mean", "JF_mean", "frames", "objects"} and (row["objects"], row["frames"]) == (2, 4)
    kept = [result(davis / "out" / f"{name}.json")["seconds"] for name in ("one", "two")]
    assert first["fps"] == pytest.approx(8 / sum(kept)) and first["config"]["samples"] == 4
    printed = capsys.readouterr().out
    assert f"{first['J']['mean']:.3f}  {first['F']['mean']:.3f}  {first['JF_mean']:.3f}" in printed
    (davis / "out" / "two.json").unlink()  # as if it had been cut off in the second sequence
    stamp = (davis / "out" / "one" / "00002.png").stat().st_mtime_ns
    assert evaluate(davis, *more) == 0
    assert (davis / "out" / "one" / "00002.png").stat().st_mtime_ns == stamp
    second = result(davis / "r.json")
    assert all(second[key] == first[key] for key in ("J", "F", "JF_mean", "sequences"))
    capsys.readouterr()
    assert evaluate(davis, *more, "--channels", 5) == 2
    assert "channels 96, and this run has 5" in capsys.readouterr().err
    # scoring the masks on the disk says what the run that wrote them said, and runs nothing
    assert evaluate(davis, "--results", davis / "out", "--json", davis / "b.json", "--quiet") == 0
    scored = result(davis / "b.json")
    assert scored["J"] == first["J"] and scored["F"] == first["F"] and scored["sequences"] == first["sequences"]
    assert scored["fps"] is None and "machine" not in scored


def test_without_out_nothing_is_kept_and_only_the_sequences_asked_for_are_run(davis, capsys):
    before = sorted(davis.iterdir())
    assert evaluate(davis, "--sequences", "two", "--no-refinement", *QUICK) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["sequence", "two", "mean"] and sorted(davis.iterdir()) == before


def test_perfect_results_score_one(davis, capsys):
    assert evaluate(davis, "--results", davis / "Annotations" / "480p", "--quiet") == 0
    assert "1.000  1.000  1.000" in capsys.readouterr().out


def test_a_result_that_is_missing_is_named(davis, capsys):
    (davis / "r" / "one").mkdir(parents=True)
    assert evaluate(davis, "--results", davis / "r", "--quiet") == 2
    assert "no result for frame 00001 of one" in capsys.readouterr().err


def test_videos_without_a_frame_to_score_are_refused(davis, capsys):
    for name in ("one", "two"):
        for t in (2, 3):
            (davis / "JPEGImages" / "480p" / name / f"{t:05d}.png").unlink()
    assert evaluate(davis, "--results", davis / "Annotations" / "480p", "--quiet") == 2
    assert "a video needs three frames or more" in capsys.readouterr().err


def test_figures_do_not_replace_another_file(davis, capsys):
    (davis / "mine.json").write_text('{"images": []}')
    words = ["evaluate", "davis2017", "--root", str(davis), "--results", str(davis / "Annotations" / "480p"), "--quiet"]
    assert main([*words, "--json", str(davis / "mine.json")]) == 2
    assert "is not of this command" in capsys.readouterr().err and (davis / "mine.json").read_text() == '{"images": []}'
    for _ in range(2):
        assert main([*words, "--json", str(davis / "scores.json")]) == 0
