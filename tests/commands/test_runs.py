"""A run that is cut off goes on and ends as if nothing had happened; a recorded run can be repeated, or says why not."""

import json
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import FINDS, QUICK, ROOM, assert_found, assert_remembered, moving_shapes, save_frames
from safetensors.torch import load_file

from vosedu import weights as weights_module
from vosedu.commands import main, record
from vosedu.files import whole
from vosedu.files.films import OverlayWriter
from vosedu.files.images import read_mask, write_mask
from vosedu.segmenter import Segmenter, Video

OFTEN = [*QUICK, "--update-every", "3"]


@pytest.fixture
def clip(tmp_path):
    """A folder of twelve frames and a first mask of two objects."""
    frames, labels = moving_shapes(12, ROOM, objects=2)
    save_frames(tmp_path / "clip", frames)
    write_mask(tmp_path / "first.png", labels[0])
    return tmp_path


def segment(clip, name, *more):
    return main(["segment", str(clip / "clip"), "--masks", str(clip / "first.png"), "--out", str(clip / name), *OFTEN,
                 *map(str, more)])


def segment_whole(clip, *more):
    """The uninterrupted run that others are compared with: it finds both objects throughout."""
    assert segment(clip, "whole", *more) == 0
    assert_found([read_mask(clip / "whole" / f"{i:05d}.png") for i in range(1, 12)], moving_shapes(12, ROOM, objects=2)[1][1:])


def content(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != record.NAME}


def cut_at(monkeypatch, frame, how):
    """Let `how` happen in step `frame`; returns the list of frames that were stepped."""
    stepped, step = [], Video.step

    def counted(video, *args):
        stepped.append(video.frame_index + 1)
        if video.frame_index + 1 == frame:
            how()
        return step(video, *args)

    monkeypatch.setattr(Video, "step", counted)
    return stepped


def fail():
    raise RuntimeError("cut off")


@pytest.mark.parametrize("changes", [
    {}, {"cg_update": 0}, {"first_share": 0.0, "capacity": 9}, {"conditioning": "whiten", "shrinkage": 1.0},
])
def test_a_restored_video_steps_to_the_same_bits(quick_segmenter, changes):
    """Objects that enter late, before and after the cut, and a memory that runs over, included."""
    frames, labels = moving_shapes(14, ROOM, objects=3, absent={2: range(4), 3: range(9)})
    labels[labels == 3] = 7
    small = {"samples": 5, "gn_steps": 2, "channels": 16, "update_every": 2, "capacity": 10}
    segmenter = Segmenter(quick_segmenter.backbone, config=replace(FINDS, **{**small, **changes}), device="cpu")
    given = {t: np.where(labels[t] == i, i, 0) for t, i in ((0, 1), (4, 2), (9, 7))}
    video = segmenter.start(frames[0], given[0], seed=3)
    for cut in range(1, 14):
        restored = segmenter.restore(video.state())
        whole = video.step(frames[cut], given.get(cut))
        assert torch.equal(restored.step(frames[cut], given.get(cut)), whole), cut
        assert torch.equal(restored.probabilities, video.probabilities) and restored.ids == video.ids
        assert_found([whole.numpy()], labels[cut : cut + 1])
        after, expected = restored.state(), video.state()
        assert after.keys() == expected.keys() and all(torch.equal(after[k], expected[k]) for k in after)
    if segmenter.config.cg_update > 0:
        assert_remembered(video)


def test_a_state_is_a_copy(quick_segmenter):
    """Later steps, which are remembered, do not change a state that was taken."""
    frames, labels = moving_shapes(3, ROOM)
    video = quick_segmenter.start(frames[0], labels[0])
    before = video.state()
    kept = {name: part.clone() for name, part in before.items()}
    video.step(frames[1])
    assert_remembered(video)
    assert all(torch.equal(before[name], kept[name]) for name in kept)


@pytest.mark.parametrize("frame", [1, 2, 6, 11])
def test_a_run_that_was_cut_off_goes_on(clip, monkeypatch, frame):
    """Masks, overlay and contact sheet are those of an uninterrupted run; it goes on behind the last checkpoint, which comes
    late where the disk is slow."""
    extras = lambda name: ["--overlay", clip / f"{name}.mp4", "--sheet", clip / f"{name}-sheet.png"]  # noqa: E731
    segment_whole(clip, *extras("whole"))
    with monkeypatch.context() as patch:
        cut_at(patch, frame, fail)
        with pytest.raises(RuntimeError):
            segment(clip, "cut", "--checkpoint", "0", *extras("cut"))
    assert (clip / "cut" / "checkpoint.safetensors").is_file() and not (clip / "cut.mp4").exists()
    kept = int(load_file(clip / "cut" / "checkpoint.safetensors")["frame_index"])
    (clip / "cut" / ".vosedu-00003-abcdefgh.png").write_bytes(b"half")  # as a killed process leaves it
    (clip / ".vosedu-cut-abcdefgh.mp4").write_bytes(b"half")
    stepped = cut_at(monkeypatch, None, fail)
    assert segment(clip, "cut", "--checkpoint", "0", *extras("cut")) == 0
    assert stepped == list(range(kept + 1, 12)) and min(frame, 2) - 1 <= kept + 1 <= frame
    assert content(clip / "cut") == content(clip / "whole") and len(content(clip / "whole")) == 12
    for ending in (".mp4", "-sheet.png"):
        assert (clip / f"cut{ending}").read_bytes() == (clip / f"whole{ending}").read_bytes()
    assert not list(clip.glob(".vosedu-*"))
    a, b = (json.loads((clip / n / record.NAME).read_text()) for n in ("cut", "whole"))
    assert a["sha256"] == b["sha256"] and a["frames"] == 12 and a["objects"] == 2 and a["finished"]


def test_ctrl_c_finishes_the_frame_and_says_how_to_go_on(clip, monkeypatch, capsys):
    segment_whole(clip)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        cut_at(patch, 5, lambda: signal.raise_signal(signal.SIGINT))
        assert segment(clip, "cut") == 130
    assert signal.getsignal(signal.SIGINT) is before
    err = capsys.readouterr().err
    assert "the same command goes on" in err and "Traceback" not in err
    assert sorted(content(clip / "cut")) == [*(f"{i:05d}.png" for i in range(6)), "checkpoint.safetensors"]
    stepped = cut_at(monkeypatch, None, fail)
    assert segment(clip, "cut") == 0
    assert stepped == list(range(6, 12)) and content(clip / "cut") == content(clip / "whole")


def test_without_a_usable_checkpoint_the_run_begins_again(clip, monkeypatch):
    segment_whole(clip)
    with monkeypatch.context() as patch:
        cut_at(patch, 6, fail)
        with pytest.raises(RuntimeError):
            segment(clip, "cut", "--checkpoint", "0")
    for name, damage in (("short", lambda p: (p / "checkpoint.safetensors").write_bytes(b"\x08" * 99)),
                         ("hole", lambda p: (p / "00002.png").unlink()),
                         ("none", lambda p: (p / "checkpoint.safetensors").unlink())):
        shutil.copytree(clip / "cut", clip / name)
        damage(clip / name)
        with monkeypatch.context() as patch:
            stepped = cut_at(patch, None, fail)
            assert segment(clip, name) == 0
        assert stepped == list(range(1, 12)) and content(clip / name) == content(clip / "whole")


def test_a_folder_of_another_run_is_refused(clip, capsys):
    assert segment(clip, "m") == 0
    kept = content(clip / "m")
    capsys.readouterr()
    for flags, words in ((["--channels", 5], "channels 96, and this run has 5"), (["--seed", 1], "seed 0"),
                         (["--no-refinement"], "output refinement")):
        assert segment(clip, "m", *flags) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1 and "choose another --out" in err
    frame = clip / "clip" / "00007.png"
    frame.write_bytes((clip / "clip" / "00008.png").read_bytes())
    assert segment(clip, "m") == 2 and "input (SHA-256)" in capsys.readouterr().err
    (clip / "m" / record.NAME).write_text("{}")
    assert segment(clip, "m") == 2 and "no usable 'input'" in capsys.readouterr().err
    assert content(clip / "m") == kept


def test_a_finished_run_is_not_repeated_and_can_still_be_drawn(clip, monkeypatch, capsys):
    assert segment(clip, "m", "--overlay", clip / "a.mp4", "--sheet", clip / "a.png", "--short-side", "96") == 0
    monkeypatch.setattr(Video, "step", fail)
    said = capsys.readouterr().out
    assert segment(clip, "m", "--short-side", "96") == 0
    captured = capsys.readouterr()
    assert "nothing to do" in captured.err and captured.out == said.replace(f", overlay {clip / 'a.mp4'}", "")
    assert segment(clip, "m", "--overlay", clip / "b.mp4", "--sheet", clip / "b.png", "--short-side", "96") == 0
    assert_found([read_mask(clip / "m" / "00011.png")], moving_shapes(12, ROOM, objects=2)[1][11:])
    for ending in ("mp4", "png"):
        assert (clip / f"a.{ending}").read_bytes() == (clip / f"b.{ending}").read_bytes()


def test_a_finished_run_that_lost_a_mask_is_made_anew_and_can_be_cut_off_too(clip, monkeypatch):
    assert segment(clip, "m") == 0
    kept = content(clip / "m")
    assert read_mask(clip / "m" / "00011.png").any()
    (clip / "m" / "00004.png").unlink()
    with monkeypatch.context() as patch:
        cut_at(patch, 9, fail)
        with pytest.raises(RuntimeError):
            segment(clip, "m", "--checkpoint", "0")
    stepped = cut_at(monkeypatch, None, fail)
    assert segment(clip, "m") == 0 and stepped == [9, 10, 11] and content(clip / "m") == kept


def test_a_video_file_goes_on_where_it_was(clip, monkeypatch):
    with OverlayWriter(clip / "v.mp4", 12.0, ROOM) as writer:
        for frame in moving_shapes(12, ROOM, objects=2)[0]:
            writer.add(frame)
    shutil.rmtree(clip / "clip")
    (clip / "v.mp4").rename(clip / "clip")
    segment_whole(clip)
    with monkeypatch.context() as patch:
        cut_at(patch, 7, fail)
        with pytest.raises(RuntimeError):
            segment(clip, "cut", "--checkpoint", "0")
    stepped = cut_at(monkeypatch, None, fail)
    assert segment(clip, "cut") == 0 and stepped == list(range(7, 12))
    assert content(clip / "cut") == content(clip / "whole")


def again(clip, *more):
    return main(["segment", "--from", str(clip / "m" / record.NAME), "--quiet", *map(str, more)])


def test_a_recorded_run_is_repeated_bit_for_bit(clip, monkeypatch, capsys):
    weights = clip / "w.safetensors"
    shutil.copy(weights_module.BUNDLED, weights)
    monkeypatch.chdir(clip)
    assert main(["segment", "clip", "--masks", "first.png", "--out", "m", "--weights", "w.safetensors", "--seed", "5",
                 *OFTEN, "--short-side", "96", "--no-refinement", "--channels", "16", "--learning-rate", "0.3"]) == 0
    assert_found([read_mask(clip / "m" / "00011.png")], moving_shapes(12, ROOM, objects=2)[1][11:])
    (clip / "elsewhere").mkdir()
    monkeypatch.chdir(clip / "elsewhere")
    capsys.readouterr()
    assert again(clip) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert content(clip / "elsewhere" / "m-again") == content(clip / "m")
    first, second = (json.loads((p / record.NAME).read_text()) for p in (clip / "m", clip / "elsewhere" / "m-again"))
    assert first["settings"] == second["settings"] and first["sha256"] == second["sha256"]
    assert set(first["sha256"]) == {"input", "masks", "weights", "output"}
    assert first["sha256"]["weights"] == {"w.safetensors": whole.digest([weights])}


def test_a_changed_input_or_weights_or_result_is_said(clip, monkeypatch, capsys):
    assert segment(clip, "m") == 0
    monkeypatch.chdir(clip)
    notes = json.loads((clip / "m" / record.NAME).read_text())

    def recorded(**changes):
        (clip / "m" / record.NAME).write_text(json.dumps({**notes, **changes}))

    recorded(sha256={**notes["sha256"], "weights": {"compact.safetensors": "0" * 64}})
    assert again(clip) == 2 and "weights (SHA-256)" in capsys.readouterr().err
    recorded(sha256={**notes["sha256"], "output": "0" * 64}, versions={**notes["versions"], "torch": "2.0"})
    assert again(clip, "--out", clip / "x") == 1
    captured = capsys.readouterr()
    assert "DIFFER" in captured.out and "torch 2.0 (now" in captured.err
    recorded()
    write_mask(clip / "first.png", moving_shapes(1, ROOM)[1][0])
    assert again(clip, "--out", clip / "y") == 2
    err = capsys.readouterr().err
    assert "masks (SHA-256)" in err and err.count("\n") == 1 and not (clip / "y").exists()


@pytest.mark.parametrize(("flags", "words"), [
    (["--preset", "fast"], "leave --preset away"), (["--masks", "first.png"], "leave --masks away"),
    (["--seed", "3"], "leave --seed away"),
])
def test_what_from_would_ignore_is_refused(clip, monkeypatch, capsys, flags, words):
    assert segment(clip, "m") == 0
    monkeypatch.chdir(clip)
    capsys.readouterr()
    assert again(clip, *flags) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


@pytest.mark.parametrize("changes", [
    {"settings": {}}, {"settings": {"seed": "--help"}}, {"threads": "two"}, {"input": 3}, {"sha256": None},
    {"settings": {"preset": "fast", "backbone": "compact", "device": "cpu", "seed": 1e99}},
])
def test_a_run_json_that_cannot_be_used_is_one_line(clip, monkeypatch, capsys, changes):
    assert segment(clip, "m") == 0
    monkeypatch.chdir(clip)
    path = clip / "m" / record.NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    capsys.readouterr()
    assert again(clip) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("vosedu: ") and captured.err.count("\n") == 1 and not captured.out


def test_neither_input_nor_from_is_one_line(capsys):
    assert main(["segment"]) == 2 and "--from run.json" in capsys.readouterr().err


def test_digest_is_what_sha256sum_says(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"")
    a = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert whole.digest([tmp_path / "a"]) == a
    import hashlib

    lines = f"{a}  a\n{hashlib.sha256(b'').hexdigest()}  b\n"
    assert whole.digest([tmp_path / "a", tmp_path / "b"]) == hashlib.sha256(lines.encode()).hexdigest()


def test_memory_in_use_names_the_setting_that_asks_for_less(clip, monkeypatch, capsys):
    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(Video, "step", full)
    frames, labels = moving_shapes(2, size=(500, 300))
    save_frames(clip / "large", frames)
    write_mask(clip / "large.png", labels[0])
    assert main(["segment", str(clip / "large"), "--masks", str(clip / "large.png"), "--out", str(clip / "m"),
                 *QUICK]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert "300x500" in err and "--short-side 240 (64% of that)" in err and "--device cpu" in err


