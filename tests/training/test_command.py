"""The command `train`: sources with and without weights, lists of videos, held-out videos, kinds of training."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vosedu.commands import data_flags, main, rivals
from vosedu.commands import train as command
from vosedu.files.images import write_mask
from vosedu.training import kinds
from vosedu.training.clips import AnyFrameClips, VideoClips
from vosedu.training.conv5 import Conv5Training
from vosedu.training.offline import Training
from vosedu.training.samples import Recipe
from vosedu.training.stills import StillClips

QUICK = ["--steps", "1", "--batch", "2", "--height", "64", "--every", "1", "--preset", "fast", "--samples", "2", "--channels",
         "4", "--gn-steps", "1", "--cg-first", "2", "--cg-later", "2", "--device", "cpu", "--quiet"]


@pytest.fixture
def data(tmp_path):
    """Two videos with three frames, a list of the second, and two photographs with PNGs: an L on noise."""
    rng = np.random.default_rng(0)

    def write(image, mask, shift):
        labels = np.zeros((64, 112), np.uint8)
        labels[10 + shift : 50 + shift, 20:34], labels[38 + shift : 50 + shift, 20:70] = 1, 1
        pixels = rng.integers(0, 90, (64, 112, 3)).astype(np.uint8)
        pixels[labels > 0] = (20, 40, 220)
        for file in (image, mask):
            file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(image), pixels)
        write_mask(mask, labels)

    for video in ("one", "two"):
        for t in range(3):
            name = Path("480p", video, f"{t:05d}.png")
            write(tmp_path / "v" / "JPEGImages" / name, tmp_path / "v" / "Annotations" / name, 4 * t)
    (tmp_path / "v" / "ImageSets" / "480p").mkdir(parents=True)
    (tmp_path / "v" / "ImageSets" / "480p" / "fit.txt").write_text("two\n")
    for n in range(2):
        write(tmp_path / "s" / "images" / f"p{n}.png", tmp_path / "s" / "masks" / f"p{n}.png", 4 * n)
    return tmp_path


def sources(data, *flags):
    """What the command makes of flags."""
    parser = command.argparse.ArgumentParser()
    command.add_flags(parser)
    args = parser.parse_args(["--out", str(data / "out"), *QUICK, *map(str, flags)])
    return data_flags.given_sources(args, command.Recipe(height=64))


def test_each_flag_gives_its_clips(data):
    found = sources(data, "--video", data / "v", "--video", data / "v/ImageSets/480p/fit.txt", "--rendered", data / "v",
                    "--stills", data / "s", "--rough", data / "s")
    kinds_of_clips = [(type(source.clips), source.clips.name, source.passes, source.weight) for source in found]
    assert kinds_of_clips == [
        (AnyFrameClips, "video-0", 1, None), (AnyFrameClips, "video-1", 1, None), (AnyFrameClips, "rendered-0", 2, None),
        (StillClips, "stills-0", 1, None), (StillClips, "rough-0", 1, None)]
    assert [len(source.clips) for source in found] == [6, 3, 6, 2, 2]
    assert {video.name for video, _, _ in found[1].clips.items} == {"two"}
    assert found[3].clips.rim == 0 and found[4].clips.rim == data_flags.ROUGH_RIM
    assert all(source.clips.size == (64, 112) for source in found)


def test_davis_and_youtube_vos_begin_where_a_mask_is_given(data):
    (data / "v" / "ImageSets" / "2017").mkdir()
    (data / "v" / "ImageSets" / "2017" / "train.txt").write_text("one\n")
    for folder in ("JPEGImages", "Annotations"):
        (data / "y" / "train").mkdir(parents=True, exist_ok=True)
        (data / "y" / "train" / folder).symlink_to(data / "v" / folder / "480p")
    found = sources(data, "--ytvos", data / "y", "--davis", data / "v")
    assert [(type(s.clips), s.passes, len(s.clips)) for s in found] == [(VideoClips, 8, 1), (VideoClips, 1, 2)]
    assert found[0].clips.key(0) == "davis-0-one-1" and found[1].clips.key(1) == "ytvos-0-two-1"


def test_the_recipe_s_flags_are_one_for_train_and_rivals():
    """Every number comes through; without flags `train` has the recipe's own, `rivals` those of fine-tuning."""
    asked = {"steps": 7, "batch": 3, "rate": 0.5, "height": 96, "overlap": 0.75, "references": 5, "seed": 2, "absent": 0.5}
    flags = [word for name, value in asked.items() for word in (f"--{name}", str(value))] + ["--frozen-norms"]
    texts = {}
    for module, usual in ((command, Recipe()), (rivals, Recipe(0, rate=1e-4, overlap=0.25))):
        parser = command.argparse.ArgumentParser()
        module.add_flags(parser)
        assert data_flags.given_recipe(parser.parse_args(["--out", "o", *flags])) == Recipe(**asked, frozen_norms=True)
        assert data_flags.given_recipe(parser.parse_args(["--out", "o"]), least=0) == usual
        texts[module] = {a.dest: a.help.split("(default")[0] for a in parser._actions if a.dest in [*asked, *data_flags.DATA]}
    assert texts[command] == texts[rivals] and len(texts[rivals]) == len(asked) + len(data_flags.DATA)


def test_weights_come_after_a_colon(data):
    found = sources(data, "--stills", f"{data / 's'}:1", "--video", f"{data / 'v'}:2.5")
    assert [source.weight for source in found] == [2.5, 1.0]
    assert data_flags.weighted("C:\\clips") == (Path("C:\\clips"), None) and data_flags.weighted("a:b") == (Path("a:b"), None)
    (data / "odd:3").mkdir()
    assert data_flags.weighted(str(data / "odd:3")) == (data / "odd:3", None), "a folder of that name is meant"


@pytest.mark.parametrize(("flags", "line"), [
    (["--video", "{}/v:2", "--stills", "{}/s"], "give all of them one, or none"),
    (["--video", "{}/v:-1"], "above 0"),
    (["--video", "{}/v/ImageSets/480p/none.txt"], "none.txt"),
    (["--stills", "{}/s", "--held-out", "{}/nowhere"], "nowhere"),
    (["--stills", "{}/s", "--every", "0"], "--every is 0"),
    (["--stills", "{}/s", "--absent", "2"], "--absent is 2.0: give 0 to 1"),
    (["--stills", "{}/s", "--base-net", "--with-conv5"], "--with-conv5 is for training R"),
])
def test_what_cannot_be_is_refused_before_anything_is_written(data, capsys, flags, line):
    assert main(["train", "--out", str(data / "out"), *QUICK, *(flag.format(data) for flag in flags)]) == 2
    err = capsys.readouterr().err
    assert line in err and err.count("\n") == 1 and not (data / "out").exists()


def test_held_out_videos_are_scored_and_not_learned(data, capsys, monkeypatch):
    scored = []
    validate = Training.validate
    monkeypatch.setattr(Training, "validate", lambda run, clips: (scored.append(clips), validate(run, clips, 1))[1])
    run = ["train", "--out", str(data / "out"), *QUICK, "--video", f"{data / 'v/ImageSets/480p/fit.txt'}:3", "--stills",
           f"{data / 's'}:1", "--held-out", str(data / "v"), "--fine-tune"]
    assert main(run) == 0
    (held_out,) = scored
    assert type(held_out) is VideoClips and [held_out.key(i) for i in range(2)] == ["held-out-one-1", "held-out-two-1"]
    said = capsys.readouterr()
    assert "R for compact" in said.err and "5 sequences per epoch" in said.err
    assert str(data / "out" / "compact.safetensors") in said.out
    (row,) = list(csv.reader((data / "out" / "training.csv").open()))[1:]
    assert row[0] == "1" and 0 <= float(row[3]) <= 1
    assert torch.load(data / "out" / "training.pt", weights_only=True)["data"] == [[3, 4], [2, 1]]
    run[run.index("--stills") + 1] = f"{data / 's'}:2"
    assert main(run) == 2 and "other data or other weights" in capsys.readouterr().err


def test_the_flags_choose_the_kind(data):
    parser = command.argparse.ArgumentParser()
    command.add_flags(parser)
    for flags, kind in ([], Training), (["--fine-tune"], Training), (["--with-conv5", "--fine-tune"], Conv5Training):
        assert command._kind(parser.parse_args(["--out", "o", *flags])) is kind


def test_a_new_kind_is_a_class_and_one_line(data, monkeypatch, capsys):
    """Here the readout of D alone, two numbers, in R's place."""

    class Readout(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.offset = torch.nn.Parameter(torch.tensor(10.0)), torch.nn.Parameter(torch.tensor(-5.0))

        def forward(self, features, scores, size):
            return self.scale * torch.nn.functional.interpolate(scores[:, None], size, mode="bilinear")[:, 0] + self.offset

    class ReadoutTraining(Training):
        what, flag, help, suffix = "readout", "readout", "train two numbers", "-readout"

        @classmethod
        def start(cls, pretrained, fine_tune):
            return {}

        def build(self):
            return Readout()

        def parts(self, pretrained):
            return {"toy": self.trained()}

    monkeypatch.setattr(command, "KINDS", (*kinds.KINDS, ReadoutTraining))
    run = ["train", "--out", str(data / "out"), *QUICK, "--stills", str(data / "s"), "--held-out", str(data / "v"), "--readout"]
    assert main([*run, "--base-net"]) == 2
    assert "--base-net and --readout train different networks" in capsys.readouterr().err
    assert main(run) == 0
    assert "readout for compact" in capsys.readouterr().err and (data / "out" / "compact-readout.safetensors").exists()
