"""CONTRIBUTING's recipes, done from outside the package: each takes one new thing and one line.

A target model is in tests/test_segmenter.py (`Means`), a kind of training in tests/training/test_kinds.py.
"""

import sys
from types import ModuleType

import cv2
import ipywidgets
import numpy as np
import pytest
import torch
from helpers import QUICK, ROOM, moving_shapes, save_frames
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from vosedu import Segmenter
from vosedu.commands import COMMANDS, main
from vosedu.features import BACKBONES, STRIDES, Architecture, build_backbone
from vosedu.files import datasets
from vosedu.files.clip import load_clip
from vosedu.files.images import read_mask, write_mask
from vosedu.files.layouts import Layout
from vosedu.teaching.exercise import Exercise, need
from vosedu.teaching.widget import Widget
from vosedu.training.checkpoints import save_weights


def narrow() -> nn.Module:
    """A ResNet of one block per stage, and of few channels."""
    network = ResNet(BasicBlock, [1, 1, 1, 1])
    network.inplanes = 128
    network.layer3 = network._make_layer(BasicBlock, 64, 1, stride=2)
    network.layer4 = network._make_layer(BasicBlock, 32, 1, stride=2)
    return network


def test_a_backbone_is_a_line(tmp_path, monkeypatch):
    """Its maps have their strides; with a file of weights `segment` takes it, without one it says so in a line."""
    monkeypatch.setitem(BACKBONES, "narrow", Architecture(narrow, source="", short_side=128))
    torch.manual_seed(0)
    backbone = build_backbone("narrow")
    assert backbone.channels == (64, 64, 128, 64, 32)
    maps = backbone(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape[2:]) for x in maps] == [(64 // s, 96 // s) for s in STRIDES]
    frames, labels = moving_shapes(2, ROOM)
    write_mask(tmp_path / "first.png", labels[0])
    command = ["segment", str(save_frames(tmp_path / "clip", frames)), "--masks", str(tmp_path / "first.png"), "--out",
               str(tmp_path / "m"), "--backbone", "narrow", *QUICK]
    assert main(command) == 2
    save_weights(tmp_path / "w.safetensors", "narrow", {"backbone": backbone.body})
    assert main([*command, "--weights", str(tmp_path / "w.safetensors")]) == 0
    assert read_mask(tmp_path / "m" / "00001.png").shape == ROOM
    assert Segmenter(backbone, device="cpu").start(frames[0], labels[0]).step(frames[1]).shape == ROOM


def test_a_data_set_is_a_class_and_a_line(tmp_path, monkeypatch, capsys):
    """Frames below `video`, masks below `truth`: `evaluate` and `load_clip` know it by its name."""
    class Mine(Layout):
        name = "mine"

        def __init__(self, root, split):
            self.root, self.split, self.frames, self.masks = root, split, root / "video", root / "truth"

    monkeypatch.setitem(datasets.LAYOUTS, "mine", Mine)
    frames, labels = moving_shapes(4)
    save_frames(tmp_path / "video" / "one", frames)
    (tmp_path / "truth" / "one").mkdir(parents=True)
    for t, ids in enumerate(labels):
        write_mask(tmp_path / "truth" / "one" / f"{t:05d}.png", ids)
    clip = load_clip("one", root=tmp_path, dataset="mine")
    assert np.array_equal(clip.frames, frames) and np.array_equal(clip.masks, labels)
    assert main(["evaluate", "mine", "--root", str(tmp_path), "--results", str(tmp_path / "truth"), "--quiet"]) == 0
    assert "one" in capsys.readouterr().out


def test_a_command_is_a_module_and_a_line(monkeypatch, capsys):
    """With its flags, its help, and its status."""
    module = ModuleType("vosedu.commands.greet")

    def add_flags(parser):
        parser.add_argument("--name", default="you")

    def run(args):
        """Greet somebody."""
        print(f"hello {args.name}")
        return 3

    module.add_flags, module.run = add_flags, run
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "greet", "say hello")
    assert main(["greet", "--name", "D"]) == 3 and capsys.readouterr().out == "hello D\n"
    with pytest.raises(SystemExit):
        main(["greet", "--help"])
    assert "Greet somebody." in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "say hello" in capsys.readouterr().out


def test_a_widget_and_an_exercise_are_a_class_and_an_object(capsys):
    """The picture follows the slider; the exercise tells right from wrong."""
    class Grey(Widget):
        def __init__(self):
            self.level = ipywidgets.IntSlider(value=10, min=0, max=255, description="level")
            super().__init__([self.level], 64, "a grey picture")

        def picture(self):
            return np.full((32, 64, 3), self.level.value, np.uint8)

    widget = Grey()
    for level in (10, 200):
        widget.level.value = level
        shown = cv2.imdecode(np.frombuffer(widget.image.value, np.uint8), cv2.IMREAD_COLOR)
        assert abs(int(shown.mean()) - level) <= 2
    wrong = {"That is the number itself.": 3}
    double = Exercise("double", lambda answer: need(answer(3), 6, wrong, "Twice 3 is 6."), ("Add.", "x + x"))
    assert double.check(lambda x: 2 * x) and not double.check(lambda x: x)
    assert "That is the number itself." in capsys.readouterr().out
