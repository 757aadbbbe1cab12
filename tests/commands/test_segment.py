"""The command `segment`: what it writes, how it goes on after it was cut off, how a recorded run is repeated."""

import json
import shutil
import signal

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from helpers import QUICK, ROOM, assert_clip_found, assert_found, moving_shapes, save_frames, segment, write_clip
from PIL import Image
from safetensors import safe_open

from vosedu import weights as weights_module
from vosedu.commands import main, record
from vosedu.evaluation.metrics import jaccard
from vosedu.files import whole
from vosedu.files.films import OverlayWriter
from vosedu.files.frames import FrameSource
from vosedu.files.images import overlay, read_mask, write_mask
from vosedu.segmenter import Video

OFTEN = ["--update-every", "3"]


def notes(folder):
    return json.loads((folder / record.NAME).read_text())


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


def cut(clip, monkeypatch, frame, *flags):
    """A run into `cut` that fails in a frame, with a checkpoint after every frame."""
    with monkeypatch.context() as patch:
        cut_at(patch, frame, fail)
        with pytest.raises(RuntimeError):
            segment(clip, "cut", *OFTEN, "--checkpoint", 0, *flags)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    folder = write_clip(tmp_path_factory.mktemp("whole"), 12)
    assert segment(folder, "whole", *OFTEN, "--overlay", folder / "whole.mp4", "--sheet", folder / "whole.png") == 0
    assert_clip_found(folder / "whole", 12)
    return folder


@pytest.fixture
def uninterrupted(made_once, tmp_path):
    """The clip, and in `whole` the run that others are compared with: it finds both objects throughout."""
    return shutil.copytree(made_once, tmp_path / "copy")


def painted(folder, frames):
    """Each frame with the mask that lies in the folder drawn over it."""
    return [overlay(frame, read_mask(folder / f"{t:05d}.png")) for t, frame in enumerate(frames)]


def assert_film_shows(path, pictures):
    """Every frame of the film is its own picture, up to compression, and nearer to it than to the one before or after."""
    shown = [frame.astype(int) for _, frame in FrameSource(path)]
    off = np.array([[np.abs(frame - picture).mean() for picture in pictures] for frame in shown])
    assert off.shape == (len(pictures),) * 2 and off.diagonal().max() < 8 and (off.argmin(1) == np.arange(len(pictures))).all()


def assert_sheet_shows(path, pictures):
    """Four in a row, each 320 pixels wide, in their order; white where there are no more."""
    sheet, height = np.asarray(Image.open(path)), round(320 * pictures[0].shape[0] / pictures[0].shape[1])
    rows = -(-len(pictures) // 4)
    assert sheet.shape == (rows * height, 4 * 320, 3)
    cells = [sheet[i * height : (i + 1) * height, j * 320 : (j + 1) * 320] for i in range(rows) for j in range(4)]
    for cell, picture in zip(cells, pictures, strict=False):
        assert np.abs(cell.astype(int) - cv2.resize(picture, (320, height), interpolation=cv2.INTER_AREA)).max() <= 1
    assert all((cell == 255).all() for cell in cells[len(pictures) :])


def test_masks_overlay_sheet_and_notes_are_written(short_clip, capsys):
    clip, out = short_clip, short_clip / "masks"
    assert segment(clip, "masks", "--overlay", clip / "o.mp4", "--sheet", clip / "s.png") == 0
    assert sorted(p.name for p in out.glob("*.png")) == [f"{i:05d}.png" for i in range(5)]
    assert np.array_equal(read_mask(out / "00000.png"), read_mask(clip / "first.png"))
    with Image.open(out / "00004.png") as image:
        assert image.size == ROOM[::-1] and image.mode == "P"
    assert_clip_found(out, 5, 0.6)
    pictures = painted(out, moving_shapes(5, ROOM, objects=2)[0])
    assert_film_shows(clip / "o.mp4", pictures)
    assert_sheet_shows(clip / "s.png", pictures)
    said = notes(out)
    assert said["frames"] == 5 and said["objects"] == 2 and said["settings"]["samples"] == 4 and said["finished"]
    assert said["input"] == str(clip / "clip") and said["masks"] == str(clip / "first.png")
    printed = capsys.readouterr().out
    assert f"5 frames, 2 objects, {5 / said['seconds']:.1f} frames per second" in printed
    assert f"masks in {out}, overlay {clip / 'o.mp4'}" in printed
    assert all(f"{stage} {seconds:.2f}" in printed for stage, seconds in said["stages"].items()) and said["stages"]


def test_a_sheet_of_a_long_video_has_eight_pictures_throughout_it(clip):
    """Of twelve frames every one up to the eighth; of 18, every second one; at the working size, as they were seen."""
    frames, labels = moving_shapes(18, ROOM, objects=2, step=3)
    save_frames(clip / "clip", frames)
    write_mask(clip / "first.png", labels[0])
    assert segment(clip, "m", "--sheet", clip / "s.png", "--preset", "fast", "--no-refinement", "--cg-update", 0) == 0
    assert_sheet_shows(clip / "s.png", painted(clip / "m", frames)[:16:2])


def test_same_seed_writes_the_same_masks_and_another_seed_others(short_clip):
    """--seed reaches the engine: bytes agree for one seed only, and all masks show both objects."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert segment(short_clip, name, "--seed", seed) == 0
        assert_clip_found(short_clip / name, 5)
    a, b, c = ([(short_clip / name / f"{i:05d}.png").read_bytes() for i in range(1, 5)] for name in "abc")
    assert a == b and all(x != y for x, y in zip(a, c, strict=True))


def test_short_side_still_writes_masks_of_the_input_size(short_clip):
    """Computed at 96 rows, written and right at 128."""
    assert segment(short_clip, "m", "--short-side", 96) == 0
    assert read_mask(short_clip / "m" / "00003.png").shape == ROOM
    assert_clip_found(short_clip / "m", 5)


def test_a_small_video_is_segmented_with_the_default_settings(tmp_path):
    """At its own 96 rows BEST finds nothing: lambda outweighs so few pixels."""
    frames, labels = moving_shapes(4)
    save_frames(tmp_path / "clip", frames)
    write_mask(tmp_path / "first.png", labels[0])
    assert main(["segment", str(tmp_path / "clip"), "--masks", str(tmp_path / "first.png"), "--out", str(tmp_path / "m"),
                 "--quiet", "--device", "cpu"]) == 0
    assert jaccard(read_mask(tmp_path / "m" / "00003.png"), labels[3] > 0) > 0.8


def test_one_frame_is_its_own_answer(short_clip):
    for i in range(1, 5):
        (short_clip / "clip" / f"{i:05d}.png").unlink()
    assert segment(short_clip, "m") == 0
    assert np.array_equal(read_mask(short_clip / "m" / "00000.png"), read_mask(short_clip / "first.png"))


def test_without_out_masks_lie_beside_in_a_folder_of_the_inputs_name(short_clip, monkeypatch):
    monkeypatch.chdir(short_clip)
    (short_clip / "clip").rename(short_clip / "my.clip")
    assert main(["segment", "my.clip", "--masks", "first.png", *QUICK]) == 0
    assert (short_clip / "my-masks" / "00004.png").is_file()


def test_a_broken_frame_keeps_what_is_finished(short_clip, capsys):
    clip = short_clip
    (clip / "clip" / "00003.png").write_bytes(b"\x89PNG broken")
    assert segment(clip, "m", "--overlay", clip / "o.mp4") == 2
    assert "00003.png cannot be read" in capsys.readouterr().err
    assert_found([read_mask(clip / "m" / f"{i:05d}.png") for i in (1, 2)], moving_shapes(3, ROOM, objects=2)[1][1:])
    assert sorted(p.name for p in (clip / "m").iterdir()) == ["00000.png", "00001.png", "00002.png", "run.json"]
    assert not (clip / "o.mp4").exists()


@pytest.mark.parametrize("small", [False, True])
def test_a_first_mask_of_which_nothing_is_left_is_refused(short_clip, capsys, small):
    """As it is, or at the working size."""
    labels = np.zeros(ROOM, np.uint8)
    labels[40 : 44 if small else 42, 60:64] = 3
    write_mask(short_clip / "first.png", labels)
    assert segment(short_clip, "m", *(["--short-side", 40] if small else [])) == 2
    err = capsys.readouterr().err
    assert "object 3 in the mask" in err and ("first.png at 48x48 has" in err) == small and not (short_clip / "m").exists()


@pytest.mark.parametrize("frame", [1, 6, 11])
def test_a_run_that_was_cut_off_goes_on(uninterrupted, monkeypatch, frame):
    """Masks, overlay and contact sheet are those of an uninterrupted run; it goes on after the last checkpoint, which comes
    late where the disk is slow."""
    clip = uninterrupted
    extras = ["--overlay", clip / "cut.mp4", "--sheet", clip / "cut.png"]
    cut(clip, monkeypatch, frame, *extras)
    assert (clip / "cut" / "checkpoint.safetensors").is_file() and not (clip / "cut.mp4").exists()
    kept = int(safetensors.torch.load_file(clip / "cut" / "checkpoint.safetensors")["frame_index"])
    (clip / "cut" / ".vosedu-00003-abcdefgh.png").write_bytes(b"half")  # as a killed process leaves it
    (clip / ".vosedu-cut-abcdefgh.mp4").write_bytes(b"half")
    stepped = cut_at(monkeypatch, None, fail)
    assert segment(clip, "cut", *OFTEN, "--checkpoint", 0, *extras) == 0
    assert stepped == list(range(kept + 1, 12)) and min(frame, 2) - 1 <= kept + 1 <= frame
    assert content(clip / "cut") == content(clip / "whole") and len(content(clip / "whole")) == 12
    for ending in ("mp4", "png"):
        assert (clip / f"cut.{ending}").read_bytes() == (clip / f"whole.{ending}").read_bytes()
    assert not list(clip.glob(".vosedu-*"))
    a, b = notes(clip / "cut"), notes(clip / "whole")
    assert a["sha256"] == b["sha256"] and a["frames"] == 12 and a["objects"] == 2 and a["finished"]


def test_seconds_are_those_of_all_processes_that_worked_on_a_run(clip, monkeypatch, capsys):
    """What the checkpoint says of the first process, in all and by stage, and what the second one took are added up."""
    cut(clip, monkeypatch, 8)
    path = clip / "cut" / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        state, said = {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["notes"])  # noqa: SIM118
    assert 0 < sum(said["stages"].values()) < said["seconds"] and said["stages"]["first-frame optimisation"] > 0
    said = {"seconds": 1000.0, "stages": {"features": 400.0, "first-frame optimisation": 30.0}}
    path.write_bytes(safetensors.torch.save(state, {"notes": json.dumps(said)}))
    capsys.readouterr()
    assert segment(clip, "cut", *OFTEN) == 0
    done = notes(clip / "cut")
    assert 1000 < done["seconds"] < 1100 and 400 < done["stages"]["features"] < 500
    assert done["stages"]["first-frame optimisation"] == 30, "the second process learns no first frame"
    assert done["stages"]["target model"] > 0
    assert "0.0 frames per second" in capsys.readouterr().out


def test_ctrl_c_finishes_the_frame_and_says_how_to_go_on(uninterrupted, monkeypatch, capsys):
    clip, before = uninterrupted, signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        cut_at(patch, 5, lambda: signal.raise_signal(signal.SIGINT))
        assert segment(clip, "cut", *OFTEN) == 130
    assert signal.getsignal(signal.SIGINT) is before
    err = capsys.readouterr().err
    assert "the same command goes on" in err and "Traceback" not in err
    assert sorted(content(clip / "cut")) == [*(f"{i:05d}.png" for i in range(6)), "checkpoint.safetensors"]
    stepped = cut_at(monkeypatch, None, fail)
    assert segment(clip, "cut", *OFTEN) == 0
    assert stepped == list(range(6, 12)) and content(clip / "cut") == content(clip / "whole")


def test_without_a_usable_checkpoint_the_run_begins_again(uninterrupted, monkeypatch):
    clip = uninterrupted
    cut(clip, monkeypatch, 6)
    for name, damage in (("short", lambda p: (p / "checkpoint.safetensors").write_bytes(b"\x08" * 99)),
                         ("hole", lambda p: (p / "00002.png").unlink())):
        shutil.copytree(clip / "cut", clip / name)
        damage(clip / name)
        with monkeypatch.context() as patch:
            stepped = cut_at(patch, None, fail)
            assert segment(clip, name, *OFTEN) == 0
        assert stepped == list(range(1, 12)) and content(clip / name) == content(clip / "whole")


def test_a_folder_of_another_run_is_refused(short_clip, capsys):
    clip = short_clip
    assert segment(clip, "m") == 0
    kept = content(clip / "m")
    capsys.readouterr()
    for flags, words in ((["--channels", 5], "channels 96, and this run has 5"), (["--seed", 1], "seed 0"),
                         (["--no-refinement"], "output refinement")):
        assert segment(clip, "m", *flags) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1 and "choose another --out" in err
    frame = clip / "clip" / "00003.png"
    frame.write_bytes((clip / "clip" / "00004.png").read_bytes())
    assert segment(clip, "m") == 2 and "input (SHA-256)" in capsys.readouterr().err
    (clip / "m" / record.NAME).write_text("{}")
    assert segment(clip, "m") == 2 and "no usable 'input'" in capsys.readouterr().err
    assert content(clip / "m") == kept


def test_a_finished_run_is_not_repeated_and_can_still_be_drawn(short_clip, monkeypatch, capsys):
    clip = short_clip
    assert segment(clip, "m", "--overlay", clip / "a.mp4", "--sheet", clip / "a.png", "--short-side", "96") == 0
    monkeypatch.setattr(Video, "step", fail)
    said = capsys.readouterr().out
    assert segment(clip, "m", "--short-side", "96") == 0
    captured = capsys.readouterr()
    assert "nothing to do" in captured.err and captured.out == said.replace(f", overlay {clip / 'a.mp4'}", "")
    assert segment(clip, "m", "--overlay", clip / "b.mp4", "--sheet", clip / "b.png", "--short-side", "96") == 0
    assert_clip_found(clip / "m", 5)
    for ending in ("mp4", "png"):
        assert (clip / f"a.{ending}").read_bytes() == (clip / f"b.{ending}").read_bytes()


def test_a_finished_run_that_lost_a_mask_is_made_anew_and_can_be_cut_off_too(clip, monkeypatch):
    assert segment(clip, "cut", *OFTEN) == 0
    kept = content(clip / "cut")
    assert read_mask(clip / "cut" / "00011.png").any()
    (clip / "cut" / "00004.png").unlink()
    cut(clip, monkeypatch, 9)
    stepped = cut_at(monkeypatch, None, fail)
    assert segment(clip, "cut", *OFTEN) == 0 and stepped == [9, 10, 11] and content(clip / "cut") == kept


def test_a_video_file_goes_on_where_it_was(clip, monkeypatch):
    with OverlayWriter(clip / "v.mp4", 12.0, ROOM) as writer:
        for frame in moving_shapes(12, ROOM, objects=2)[0]:
            writer.add(frame)
    shutil.rmtree(clip / "clip")
    (clip / "v.mp4").rename(clip / "clip")
    assert segment(clip, "whole", *OFTEN) == 0
    assert_clip_found(clip / "whole", 12)
    cut(clip, monkeypatch, 7)
    stepped = cut_at(monkeypatch, None, fail)
    assert segment(clip, "cut", *OFTEN) == 0 and stepped == list(range(7, 12))
    assert content(clip / "cut") == content(clip / "whole")


def again(clip, *more):
    return main(["segment", "--from", str(clip / "m" / record.NAME), "--quiet", *map(str, more)])


def test_a_recorded_run_is_repeated_bit_for_bit(short_clip, monkeypatch, capsys):
    """From another folder, with weights, seed, size and settings that are none of them the defaults."""
    clip, weights = short_clip, short_clip / "w.safetensors"
    shutil.copy(weights_module.BUNDLED, weights)
    monkeypatch.chdir(clip)
    assert main(["segment", "clip", "--masks", "first.png", "--out", "m", "--weights", "w.safetensors", "--seed", "5",
                 *QUICK, "--short-side", "96", "--no-refinement", "--channels", "16", "--learning-rate", "0.3"]) == 0
    assert_clip_found(clip / "m", 5)
    (clip / "elsewhere").mkdir()
    monkeypatch.chdir(clip / "elsewhere")
    capsys.readouterr()
    assert again(clip) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert content(clip / "elsewhere" / "m-again") == content(clip / "m")
    first, second = notes(clip / "m"), notes(clip / "elsewhere" / "m-again")
    assert first["settings"] == second["settings"] and first["sha256"] == second["sha256"]
    assert set(first["sha256"]) == {"input", "masks", "weights", "output"}
    assert first["sha256"]["weights"] == {"w.safetensors": whole.digest([weights])}
    assert first["sha256"]["output"] == whole.digest(sorted((clip / "m").glob("*.png")))


def test_a_changed_input_or_weights_or_result_is_said(short_clip, monkeypatch, capsys):
    clip = short_clip
    assert segment(clip, "m") == 0
    monkeypatch.chdir(clip)
    said = notes(clip / "m")

    def recorded(**changes):
        (clip / "m" / record.NAME).write_text(json.dumps({**said, **changes}))

    recorded(sha256={**said["sha256"], "weights": {"compact.safetensors": "0" * 64}})
    assert again(clip) == 2 and "weights (SHA-256)" in capsys.readouterr().err
    recorded(sha256={**said["sha256"], "output": "0" * 64}, versions={**said["versions"], "torch": "2.0"})
    assert again(clip, "--out", clip / "x") == 1
    captured = capsys.readouterr()
    assert "DIFFER" in captured.out and "torch 2.0 (now" in captured.err
    recorded()
    write_mask(clip / "first.png", moving_shapes(1, ROOM)[1][0])
    assert again(clip, "--out", clip / "y") == 2
    err = capsys.readouterr().err
    assert "masks (SHA-256)" in err and err.count("\n") == 1 and not (clip / "y").exists()


@pytest.fixture
def recorded_run(short_clip, monkeypatch, capsys):
    """A finished run in `m`, and the folder around it as the current one."""
    assert segment(short_clip, "m", "--no-refinement") == 0
    monkeypatch.chdir(short_clip)
    capsys.readouterr()
    return short_clip


@pytest.mark.parametrize(("flags", "words"), [
    (["--seed", "3"], "leave --seed away"), (["--colours"], "leave --colours away"),
    (["--preset", "fast"], "leave --preset away"), (["--learning-rate", "0.1"], "leave --learning-rate away"),
])
def test_what_from_would_ignore_is_refused(recorded_run, capsys, flags, words):
    assert again(recorded_run, *flags) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


@pytest.mark.parametrize(("changes", "words"), [
    ({"settings": {}}, "'preset' is None"), ({"settings": {"seed": "--help"}}, "'preset' is None"),
    ({"threads": "two"}, "no usable 'threads'"), ({"input": 3}, "no usable 'input'"), ({"sha256": None}, "no usable 'sha256'"),
    ({"settings": {"preset": "fast", "backbone": "compact", "device": "cpu", "seed": 1e99}}, "'output' is None"),
])
def test_a_run_json_that_cannot_be_used_is_one_line(recorded_run, capsys, changes, words):
    path = recorded_run / "m" / record.NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    assert again(recorded_run) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("vosedu: ") and captured.err.count("\n") == 1 and not captured.out
    assert words in captured.err and str(path) in captured.err


def test_an_unfinished_run_can_be_repeated_and_is_not_compared(recorded_run, capsys):
    path = recorded_run / "m" / record.NAME
    said = json.loads(path.read_text())
    del said["sha256"]["output"]
    path.write_text(json.dumps({**said, "finished": False}))
    assert again(recorded_run) == 0 and "bit for bit" not in capsys.readouterr().out
    assert content(recorded_run / "m-again") == content(recorded_run / "m")


@pytest.mark.parametrize("seconds", ["-1", "nan"])
def test_a_checkpoint_interval_below_zero_is_refused(short_clip, capsys, seconds):
    assert segment(short_clip, "m", "--checkpoint", seconds) == 2 and "--checkpoint is" in capsys.readouterr().err


def test_neither_input_nor_from_is_one_line(capsys):
    assert main(["segment"]) == 2 and "--from run.json" in capsys.readouterr().err


def test_memory_in_use_names_the_setting_that_asks_for_less(clip, monkeypatch, capsys):
    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(Video, "step", full)
    frames, labels = moving_shapes(2, size=(500, 300))
    shutil.rmtree(clip / "clip")
    save_frames(clip / "clip", frames)
    write_mask(clip / "first.png", labels[0])
    assert segment(clip, "m") == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert "300x500" in err and "--short-side 240 (64% of that)" in err and "--device cpu" in err


def test_the_first_frame_says_what_takes_so_long(tmp_path, capsys):
    """Before the first mask a line says that objects are learned; a run that is finished already learns none."""
    write_clip(tmp_path, 3)
    flags = [flag for flag in QUICK if flag != "--quiet"]
    command = ["segment", str(tmp_path / "clip"), "--masks", str(tmp_path / "first.png"), "--out", str(tmp_path / "m"), *flags]
    assert main(command) == 0
    states = [state for state in capsys.readouterr().err.replace("\n", "\r").split("\r") if "frame/s" in state]
    assert states[0].startswith("learning the objects:   0%") and "learning" not in states[-1]
    assert main([*command, "--sheet", str(tmp_path / "sheet.png")]) == 0
    assert "learning" not in capsys.readouterr().err
