"""Flags of the engine: what they make, what is refused, and that what is written beside results gives the same settings."""

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from vosedu.commands.flags import Settings, add_dataset_flags, add_engine_flags, positive, sequences_of
from vosedu.config import BEST, FAST, PAPER, Config
from vosedu.errors import InputError
from vosedu.features import BACKBONES
from vosedu.weights import BUNDLED

NUMBERS = [f for f in fields(Config) if "low" in f.metadata]
CHOICES = [f for f in fields(Config) if "choices" in f.metadata]


def given(*words):
    parser = argparse.ArgumentParser()
    add_engine_flags(parser)
    return Settings.given(parser.parse_args([str(word) for word in words]))


def other(f):
    """A value that no preset has and that may be given."""
    if f in CHOICES:
        return next(c for c in f.metadata["choices"] if c != getattr(BEST, f.name))
    value = f.metadata["low"] + (f.metadata["high"] - f.metadata["low"]) / 7
    return int(value) if f.type is int else value


def test_without_flags_the_defaults():
    assert given() == Settings() == Settings(
        BEST, "best", "compact", (), True, "auto", "auto", 0, 0, BACKBONES["compact"].short_side)
    assert Settings().short_side == 432


def test_every_flag_reaches_its_setting():
    found = given("--preset", "paper", "--backbone", "resnet18", "--weights", "a.pt", "--weights", "b.pt", "--no-refinement",
                  "--device", "cuda:1", "--precision", "bfloat16", "--threads", 3, "--seed", 17, "--short-side", 240)
    assert found == Settings(PAPER, "paper", "resnet18", (Path("a.pt"), Path("b.pt")), False, "cuda:1", "bfloat16", 3, 17, 240)
    assert given("--preset", "fast").config == FAST


@pytest.mark.parametrize("f", fields(Config), ids=lambda f: f.name)
def test_every_number_and_choice_overrides_the_preset(f):
    """And no other one."""
    value = other(f)
    changes = {f.name: value, **({"capacity": value + 1} if f.name == "samples" and value >= BEST.capacity else {})}
    words = [word for name, v in changes.items() for word in (f"--{name.replace('_', '-')}", v)]
    assert given(*words).config == replace(BEST, **changes) != BEST


@pytest.mark.parametrize(("words", "short_side"), [
    ([], 432), (["--backbone", "resnet50"], 0), (["--short-side", 0], 0), (["--short-side", 32], 32),
    (["--backbone", "resnet50", "--short-side", 99], 99),
])
def test_the_short_side_is_the_backbones_unless_it_is_given(words, short_side):
    assert given(*words).short_side == short_side


def test_the_remembered_cells_are_of_the_backbone_that_has_a_scale_for_them():
    """Others have none by default, which is what results are noted with; who asks for them is told."""
    assert given().config.nearest == 0.3 and given("--nearest", 0.1).config.nearest == 0.1
    for words in ((), ("--nearest", 0)):
        assert given("--backbone", "resnet18", *words).config == replace(BEST, nearest=0)
    with pytest.raises(InputError) as caught:
        given("--backbone", "resnet18", "--nearest", 0.1)
    assert str(caught.value) == "--nearest is for the backbone compact: leave it out with resnet18"


@pytest.mark.parametrize("f", NUMBERS, ids=lambda f: f.name)
@pytest.mark.parametrize("end", ["low", "high"])
def test_numbers_out_of_their_range_are_refused_with_it(f, end):
    """The limits themselves are not."""
    limit, step = f.metadata[end], 1 if f.type is int else 1e-3
    beyond = limit - step if end == "low" else limit + step
    with pytest.raises(InputError) as caught:
        given(f"--{f.name.replace('_', '-')}={beyond}")
    assert str(caught.value) == f"{f.name} is {beyond}: give a value from {f.metadata['low']} to {f.metadata['high']}"
    try:
        given(f"--{f.name.replace('_', '-')}={limit}")
    except InputError as error:
        assert "must exceed" in str(error) and f.name in ("samples", "capacity"), "these two limit each other"


@pytest.mark.parametrize("f", CHOICES, ids=lambda f: f.name)
def test_another_choice_is_refused_with_those_there_are(f):
    for choice in f.metadata["choices"]:
        assert getattr(given(f"--{f.name.replace('_', '-')}", choice).config, f.name) == choice
    with pytest.raises(InputError) as caught:
        given(f"--{f.name.replace('_', '-')}", "mean")
    assert str(caught.value) == f"{f.name} is 'mean': choose one of {', '.join(f.metadata['choices'])}"


@pytest.mark.parametrize(("words", "message"), [
    (["--preset", "fastest"], "unknown preset 'fastest': choose one of best, whole, paper, fast"),
    (["--backbone", "vgg"], f"unknown backbone 'vgg': choose one of {', '.join(BACKBONES)}"),
    (["--short-side", 31], "--short-side is 31: give 32 or more, or 0 for frames as they are"),
    (["--short-side", -1], "--short-side is -1: give 32 or more, or 0 for frames as they are"),
    (["--seed", -1], "--seed is -1: give a whole number from 0 to 2147483647"),
    (["--seed", 2**31], "--seed is 2147483648: give a whole number from 0 to 2147483647"),
    (["--samples", 80], "capacity is 80: it must exceed the 80 first-frame samples"),
    (["--learning-rate", "nan"], "learning_rate is nan: give a value from 0.001 to 0.9"),
])
def test_what_is_refused_in_which_words(words, message):
    with pytest.raises(InputError) as caught:
        given(*words)
    assert str(caught.value) == message


def segmenter(settings, device="cpu"):
    """What `noted` looks at in one."""
    return SimpleNamespace(refinement=object() if settings.refinement else None, device=torch.device(device),
                           precision="float32" if settings.precision == "auto" else settings.precision, config=settings.config)


@pytest.mark.parametrize("words", [
    [], ["--preset", "fast", "--seed", 3, "--short-side", 0, "--precision", "bfloat16"],
    ["--weights", "/w/a.pt", "--weights", "/w/b.safetensors", "--no-refinement", "--backbone", "resnet101"],
    [f"--{f.name.replace('_', '-')}={other(f)}" for f in fields(Config) if f.name != "samples"],
])
def test_what_is_noted_beside_results_gives_the_settings_again(words):
    """By way of JSON; the device is the one that was found, the threads come from elsewhere."""
    settings = replace(given(*words), device="cpu", threads=5, precision=
                       "bfloat16" if "bfloat16" in words else "float32")
    notes = json.loads(json.dumps(settings.noted(segmenter(settings))))
    assert Settings.recorded(notes, 5) == settings


def test_weights_are_noted_with_their_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = given("--weights", "w.pt")
    assert settings.noted(segmenter(settings))["weights"] == [str(tmp_path / "w.pt")]
    assert given().noted(segmenter(settings))["weights"] == "bundled or ImageNet"
    assert given("--device", "auto").noted(segmenter(settings, "cuda:1"))["device"] == "cuda"


@pytest.mark.parametrize("name", ["preset", "backbone", "output", "device", "precision", "seed", "short_side", "channels",
                                  "aggregation"])
def test_a_setting_that_is_not_recorded_is_named(name):
    notes = Settings(device="cpu").noted(segmenter(Settings()))
    with pytest.raises(InputError, match=f"its setting '{name}' is None, so it cannot be repeated"):
        Settings.recorded({k: v for k, v in notes.items() if k != name}, 0)
    if name not in ("channels", "aggregation"):
        with pytest.raises(InputError, match=f"its setting '{name}' is 2.5, so it cannot be repeated"):
            Settings.recorded({**notes, name: 2.5}, 0)
    else:
        with pytest.raises(InputError, match=f"{name} is"):
            Settings.recorded({**notes, name: 2.5}, 0)


def test_the_engine_is_made_of_what_the_flags_say(monkeypatch):
    counts = []
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    found = given("--no-refinement", "--device", "cpu", "--short-side", 96, "--channels", 5, "--threads", 2,
                  "--precision", "float32").segmenter()
    assert (found.refinement, found.short_side, found.device.type, found.precision) == (None, 96, "cpu", "float32")
    assert found.config == replace(BEST, channels=5) and found.backbone.name == "compact" and counts == [2]
    found = given("--device", "cpu", "--precision", "bfloat16", "--weights", BUNDLED).segmenter()
    assert found.refinement is not None and found.precision == "bfloat16" and found.short_side == 432 and counts == [2]


def test_what_runs_is_said_and_a_missing_refinement_too(capsys):
    settings = Settings(preset="fast")
    settings.announce(segmenter(settings))
    said = capsys.readouterr().err
    assert said.startswith("vosedu: compact on ") and said.endswith(", float32, preset fast\n") and said.count("\n") == 1
    settings.announce(SimpleNamespace(refinement=None, precision="float32", device=torch.device("cpu")))
    assert "masks come from the target model alone" in capsys.readouterr().err
    Settings(refinement=False).announce(SimpleNamespace(refinement=None, precision="float32", device=torch.device("cpu")))
    assert capsys.readouterr().err.count("\n") == 1, "asked for, so not missing"


def test_positive_names_the_flag():
    positive(argparse.Namespace(repeats=1, frame_count=0), repeats=1, frame_count=0)
    with pytest.raises(InputError, match="--frame-count is -1: give 0 or more"):
        positive(argparse.Namespace(repeats=1, frame_count=-1), repeats=1, frame_count=0)


def test_the_sequences_of_a_data_set(davis):
    def named(*words):
        parser = argparse.ArgumentParser()
        add_dataset_flags(parser)
        return [s.name for s in sequences_of(parser.parse_args(["davis2017", "--root", str(davis), *words]))]

    assert named() == ["one", "two"] and named("--sequences", "two") == ["two"]
    assert named("--sequences", "two,one") == ["two", "one"]
    (davis / "ImageSets" / "2017").mkdir(parents=True)
    (davis / "ImageSets" / "2017" / "train.txt").write_text("one\n")
    assert named("--split", "train") == ["one"]
    with pytest.raises(InputError, match="did you mean"):
        named("--sequences", "three")
