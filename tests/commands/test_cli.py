"""The commands as a user meets them: results on disk, resuming, and one clear line for everything unusable."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import QUICK, ROOM, assert_found, moving_shapes, save_frames
from PIL import Image

from vosedu.commands import main
from vosedu.evaluation.metrics import jaccard
from vosedu.files import datasets
from vosedu.files.images import read_mask, write_mask
from vosedu.training.baselines import load_base_net
from vosedu.weights import load_pretrained


@pytest.fixture
def clip(tmp_path):
    """A folder of frames and a first mask of two objects."""
    frames, labels = moving_shapes(5, ROOM, objects=2)
    save_frames(tmp_path / "clip", frames)
    write_mask(tmp_path / "first.png", labels[0])
    return tmp_path


def assert_clip_found(folder, least=0.3):
    """The masks in `folder` show both objects of every later frame of `clip`."""
    assert_found([read_mask(folder / f"{i:05d}.png") for i in range(1, 5)], moving_shapes(5, ROOM, objects=2)[1][1:], least)


@pytest.fixture
def davis(tmp_path):
    """A data set of two short sequences in DAVIS layout."""
    for name, step in (("one", 5), ("two", 8)):
        frames, labels = moving_shapes(4, ROOM, objects=2, step=step)
        save_frames(tmp_path / "JPEGImages" / "480p" / name, frames)
        (tmp_path / "Annotations" / "480p" / name).mkdir(parents=True)
        for index, ids in enumerate(labels):
            write_mask(tmp_path / "Annotations" / "480p" / name / f"{index:05d}.png", ids)
    return tmp_path


def test_segment_writes_masks_overlay_sheet_and_notes(clip, capsys):
    out = clip / "masks"
    status = main(["segment", str(clip / "clip"), "--masks", str(clip / "first.png"), "--out", str(out), "--overlay",
                   str(clip / "o.mp4"), "--sheet", str(clip / "s.png"), *QUICK])
    assert status == 0
    assert sorted(p.name for p in out.glob("*.png")) == [f"{i:05d}.png" for i in range(5)]
    assert np.array_equal(read_mask(out / "00000.png"), read_mask(clip / "first.png"))
    with Image.open(out / "00004.png") as image:
        assert image.size == ROOM[::-1] and image.mode == "P"
    assert_clip_found(out, 0.6)
    notes = json.loads((out / "run.json").read_text())
    assert notes["frames"] == 5 and notes["objects"] == 2 and notes["settings"]["samples"] == 4
    assert (clip / "o.mp4").stat().st_size > 500 and (clip / "s.png").exists()
    assert "5 frames, 2 objects" in capsys.readouterr().out


def test_same_seed_writes_the_same_masks_and_another_seed_others(clip):
    """--seed reaches the engine: bytes agree for one seed only, and all masks show both objects."""
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["segment", str(clip / "clip"), "--masks", str(clip / "first.png"), "--out", str(clip / name), *QUICK,
                     "--seed", seed]) == 0
        assert_clip_found(clip / name)
    a, b, c = ([(clip / name / f"{i:05d}.png").read_bytes() for i in range(1, 5)] for name in "abc")
    assert a == b and all(x != y for x, y in zip(a, c, strict=True))


def test_short_side_still_writes_masks_of_the_input_size(clip):
    """Computed at 96 rows, written and right at 128."""
    assert main(["segment", str(clip / "clip"), "--masks", str(clip / "first.png"), "--out", str(clip / "m"),
                 *QUICK, "--short-side", "96"]) == 0
    assert read_mask(clip / "m" / "00003.png").shape == ROOM
    assert_clip_found(clip / "m")


def test_a_small_video_is_segmented_with_the_default_settings(tmp_path):
    """At its own 96 rows BEST finds nothing: lambda outweighs so few pixels."""
    frames, labels = moving_shapes(4)
    save_frames(tmp_path / "clip", frames)
    write_mask(tmp_path / "first.png", labels[0])
    assert main(["segment", str(tmp_path / "clip"), "--masks", str(tmp_path / "first.png"), "--out", str(tmp_path / "m"),
                 "--quiet", "--device", "cpu"]) == 0
    assert jaccard(read_mask(tmp_path / "m" / "00003.png"), labels[3] > 0) > 0.8


def test_one_frame_is_its_own_answer(clip):
    for i in range(1, 5):
        (clip / "clip" / f"{i:05d}.png").unlink()
    assert main(["segment", str(clip / "clip"), "--masks", str(clip / "first.png"), "--out", str(clip / "m"), *QUICK]) == 0
    assert np.array_equal(read_mask(clip / "m" / "00000.png"), read_mask(clip / "first.png"))


def test_evaluate_reports_resumes_and_refuses_to_mix(davis, capsys):
    """A sequence that is done is read back, J as J and F as F."""
    command = ["evaluate", "davis2017", "--root", str(davis), "--out", str(davis / "out"), "--json", str(davis / "r.json")]
    assert main([*command, *QUICK]) == 0
    first = json.loads((davis / "r.json").read_text())
    assert_told_apart(first)
    assert set(first) >= {"J", "F", "JF_mean", "fps", "sequences", "config", "versions"}
    assert first["sequences"]["one"].keys() == {"J_mean", "F_mean", "JF_mean", "frames", "objects"}
    assert first["sequences"]["one"]["objects"] == 2 and first["sequences"]["one"]["frames"] == 4
    (davis / "out" / "two.json").unlink()  # as if it had been cut off in the second sequence
    stamp = (davis / "out" / "one" / "00002.png").stat().st_mtime_ns
    assert main([*command, *QUICK]) == 0
    assert (davis / "out" / "one" / "00002.png").stat().st_mtime_ns == stamp
    second = json.loads((davis / "r.json").read_text())
    assert all(second[key] == first[key] for key in ("J", "F", "JF_mean", "sequences"))
    assert main([*command, *QUICK, "--channels", "5"]) == 2
    assert "channels" in capsys.readouterr().err


def assert_told_apart(result):
    """Objects are found, not perfectly, and J is not F nor one sequence the other: an exchange of any two would show."""
    rows = [result[m]["mean"] for m in "JF"] + [row[m] for row in result["sequences"].values() for m in ("J_mean", "F_mean")]
    assert all(0.3 < value < 1 for value in rows) and len(set(rows)) == len(rows)


def test_scoring_existing_results_equals_running(davis):
    """Masks on disk score what the run that wrote them reported, object by object."""
    main(["evaluate", "davis2017", "--root", str(davis), "--out", str(davis / "out"), "--json", str(davis / "a.json"), *QUICK])
    assert main(["evaluate", "davis2017", "--root", str(davis), "--results", str(davis / "out"), "--json",
                 str(davis / "b.json"), "--quiet"]) == 0
    a, b = (json.loads((davis / n).read_text()) for n in ("a.json", "b.json"))
    assert_told_apart(a)
    assert a["J"] == b["J"] and a["F"] == b["F"] and a["sequences"] == b["sequences"] and b["fps"] is None


def test_perfect_results_score_one(davis, capsys):
    assert main(["evaluate", "davis2017", "--root", str(davis), "--results", str(davis / "Annotations" / "480p"),
                 "--quiet"]) == 0
    assert "1.000  1.000  1.000" in capsys.readouterr().out


BAD = {
    "no such file": (["segment", "absent.mp4", "--masks", "first.png"], "no such file"),
    "no mask": (["segment", "clip", "--masks", "absent.png"], "no mask"),
    "preset": (["segment", "clip", "--masks", "first.png", "--preset", "fastest"], "unknown preset"),
    "backbone": (["segment", "clip", "--masks", "first.png", "--backbone", "vgg"], "unknown backbone"),
    "no weights": (["segment", "clip", "--masks", "first.png", "--backbone", "mobilenet_v2"], "--weights"),
    "cuda": (["segment", "clip", "--masks", "first.png", "--device", "cuda"], "--device cpu"),
    "setting": (["segment", "clip", "--masks", "first.png", "--target-share", "3"], "target_share is 3.0"),
    "height": (["segment", "clip", "--masks", "first.png", "--short-side", "3"], "--short-side"),
    "capacity": (["segment", "clip", "--masks", "first.png", "--capacity", "10"], "must exceed"),
    "out is a file": (["segment", "clip", "--masks", "first.png", "--out", "first.png"], "cannot write"),
    "data set": (["evaluate", "davis2018"], "unknown data set"),
    "root": (["evaluate", "davis2016", "--root", "absent"], "check --root"),
    "sequence": (["evaluate", "scenes", "--sequences", "lookalike"], "did you mean"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line_and_status_2(clip, monkeypatch, capsys, kind):
    monkeypatch.chdir(clip)
    if kind == "cuda":
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = sorted(p.name for p in clip.iterdir())
    words, expected = BAD[kind]
    assert main([*words, "--quiet"]) == 2
    err = capsys.readouterr().err
    assert expected in err and err.startswith("vosedu: ") and err.count("\n") == 1
    assert sorted(p.name for p in clip.iterdir()) == before


def test_a_broken_frame_keeps_what_is_finished(clip, capsys):
    (clip / "clip" / "00003.png").write_bytes(b"\x89PNG broken")
    assert main(["segment", str(clip / "clip"), "--masks", str(clip / "first.png"), "--out", str(clip / "m"), "--overlay",
                 str(clip / "o.mp4"), *QUICK]) == 2
    assert "00003.png cannot be read" in capsys.readouterr().err
    assert_found([read_mask(clip / "m" / f"{i:05d}.png") for i in (1, 2)], moving_shapes(3, ROOM, objects=2)[1][1:])
    assert sorted(p.name for p in (clip / "m").iterdir()) == ["00000.png", "00001.png", "00002.png", "run.json"]
    assert not (clip / "o.mp4").exists()


def test_settings_and_help(capsys):
    assert main(["settings"]) == 0
    assert "target_share" in capsys.readouterr().out
    with pytest.raises(SystemExit) as done:
        main(["segment", "--help"])
    assert done.value.code == 0 and "--learning-rate" in capsys.readouterr().out


def test_doctor(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "self-test: J" in out and "missing" not in out


def test_train_then_table1(davis, tmp_path, monkeypatch, capsys):
    """R trained for two steps on clips in DAVIS layout loads, and Table 1 has its rows; run again, nothing is repeated."""
    monkeypatch.setattr(datasets, "load", _without_scenes(datasets.load))
    train = ["train", "--davis", str(davis), "--steps", "2", "--batch", "2", "--height", "64", "--every", "1", *QUICK]
    assert main([*train, "--out", str(tmp_path / "r")]) == 0
    assert main([*train, "--out", str(tmp_path / "b"), "--base-net"]) == 0
    assert len((tmp_path / "r" / "training.csv").read_text().splitlines()) == 3
    weights = str(tmp_path / "r" / "compact.safetensors")
    capsys.readouterr()
    table = ["table1", "davis2017", "--root", str(davis), "--out", str(tmp_path / "t"), "--weights", weights, "--base",
             str(tmp_path / "b" / "compact-base.safetensors"), *QUICK]
    assert main(table) == 0
    printed = capsys.readouterr().out
    rows = [line[:18].strip() for line in printed.splitlines()[1:]]
    assert rows == ["Base net", "D-only", "Ours - no update", "Ours", "Ours (fast)"]
    saved = json.loads((tmp_path / "t" / "table1.json").read_text())["rows"]
    assert f"{saved['D-only']['J']['mean']:.3f}" in printed and 0 <= saved["Base net"]["J"]["mean"] <= 1
    assert 0.3 < saved["D-only"]["J"]["mean"] < 1, "the row that no training of two steps can spoil"
    assert main(table) == 0 and capsys.readouterr().out == printed
    assert main([*table, "--rows", "Ours"]) == 0 and len(capsys.readouterr().out.splitlines()) == 2
    assert main([*table[:6], *QUICK, "--out", str(tmp_path / "t2"), "--update-every", "1"]) == 0  # with the bundled ones
    saved = json.loads((tmp_path / "t2" / "table1.json").read_text())["rows"]
    found = {row: result["J"]["mean"] for row, result in saved.items()}
    assert len(set(found.values())) == len(found) == 5, "no row is another's"
    assert 0 < found.pop("Base net") < 1 and all(0.3 < j < 1 for j in found.values()), "Base net knows no such objects"
    assert main([*table[:8], *QUICK, "--out", str(tmp_path / "t3"), "--fine-tuned"]) == 2
    assert "--base" in capsys.readouterr().err
    assert main([*table, "--rows", "Theirs"]) == 2 and "no row 'Theirs'" in capsys.readouterr().err
    assert main([*train, "--out", str(tmp_path / "r"), "--seed", "1"]) == 2
    assert "begun with seed 0" in capsys.readouterr().err
    tuned = ["--fine-tune", "--weights", weights]
    assert main([*train, "--out", str(tmp_path / "f"), *tuned]) == 0
    assert main([*train, "--out", str(tmp_path / "n"), "--base-net", *tuned, "--rate", "1e-9"]) == 0
    ours, base = load_pretrained("compact", [weights])[1], tmp_path / "n" / "compact-base.safetensors"
    for mine, its in zip(ours.parameters(), load_base_net(base, (64, 64, 128, 256, 256)).refinement.parameters(), strict=True):
        torch.testing.assert_close(its, mine, atol=1e-3, rtol=1e-3)
    more = ["--with-conv5", "--overlap", "0.25", "--rendered", str(davis)]
    assert main([*train, "--out", str(tmp_path / "c"), *tuned, *more]) == 0
    was, now = (load_pretrained("compact", [path])[0].body.state_dict()
                for path in (Path(weights), tmp_path / "c" / "compact.safetensors"))
    assert {key.split(".")[0] for key in was if not torch.equal(was[key], now[key])} == {"layer4"}


def _without_scenes(load):
    """`datasets.load` with the two tiny sequences in place of the bundled scenes."""
    def loaded(name, root, *args, **kwargs):
        if name == "scenes":
            return loaded.kept
        loaded.kept = load(name, root, *args, **kwargs)
        return loaded.kept
    return loaded


@pytest.mark.parametrize(("flags", "line"), [
    ([], "nothing to train on"),
    (["--stills", "."], "images"),
    (["--steps", "0", "--stills", "."], "--steps is 0"),
    (["--davis", "nowhere"], "nowhere"),
    (["--rendered", "nowhere"], "nowhere"),
    (["--stills", ".", "--with-conv5", "--base-net"], "--with-conv5 is for training R"),
    (["--stills", ".", "--tune-backbone", "--base-net"], "--tune-backbone trains no R"),
    (["--stills", ".", "--overlap", "-1"], "--overlap is -1.0"),
])
def test_train_refuses_in_one_line(tmp_path, monkeypatch, capsys, flags, line):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--out", "o", *flags, *QUICK]) == 2
    err = capsys.readouterr().err
    assert line in err and err.count("\n") == 1 and not (tmp_path / "o").exists()
