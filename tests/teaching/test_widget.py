"""The base class of all widgets, the first cell of every notebook, and the order of the chapters."""

import importlib
import pkgutil
import re
import threading
from pathlib import Path

import ipywidgets
import matplotlib
import numpy as np
import pytest
import torch
from teaching.seeing import close, flat, is_described, shown

from vosedu import teaching
from vosedu.teaching import NOTEBOOKS
from vosedu.teaching.widget import Widget, pressed, setup

ROOT = Path(__file__).resolve().parents[2]


class Toy(Widget):
    """A flat picture, as grey as its slider says."""

    def __init__(self, **options):
        self.a = ipywidgets.IntSlider(value=10, max=250, description="a")
        self.b = ipywidgets.IntSlider(value=0, max=250, description="b")
        self.drawn = []
        super().__init__([self.a, self.b], 300, "a grey picture and nothing else", **options)

    def prepare(self):
        self.note.value = f"prepared {self.a.value}"

    def picture(self):
        self.drawn.append((self.a.value, self.b.value))
        return flat(self.a.value + self.b.value, (20, 30))


def test_a_control_that_is_set_is_drawn_once():
    toy = Toy()
    assert toy.drawn == [(10, 0)] and shown(toy).shape == (20, 30, 3) and close(shown(toy), 10, 2)
    toy.b.value = 90
    assert toy.drawn[1:] == [(10, 90)] and close(shown(toy), 100, 2)
    toy.a.value = 110
    assert toy.drawn[2:] == [(110, 90)] and close(shown(toy), 200, 2) and toy.note.value == "prepared 110"
    toy.a.value = 110
    assert len(toy.drawn) == 3, "the same value draws nothing"


def test_at_once_draws_once_at_the_end():
    toy = Toy()
    with toy.at_once():
        toy.a.value = 50
        with toy.at_once():
            toy.b.value = 60
        assert toy.drawn == [(10, 0)]
        toy.a.value = 70
    assert toy.drawn[1:] == [(70, 60)] and close(shown(toy), 130, 2)
    with pytest.raises(KeyError), toy.at_once():
        raise KeyError
    toy.a.value = 80
    assert toy.drawn[-1] == (80, 60), "after an error a control draws again"


def test_the_last_value_is_shown_whichever_thread_sets_it():
    """The first drawing takes so long that the second is asked for before it is done."""

    class Slow(Toy):
        entered = threading.Event()

        def picture(self):
            found = super().picture()
            if self.a.value == 100:
                self.entered.set()
                other.join(0.5)  # it cannot end while this is drawn; without a lock, it would end first
            return found

    toy = Slow()
    other = threading.Thread(target=lambda: (toy.entered.wait(5), setattr(toy.a, "value", 200)))
    other.start()
    toy.a.value = 100
    other.join(5)
    assert toy.drawn == [(10, 0), (100, 0), (200, 0)] and close(shown(toy), 200, 2)


def test_what_takes_long_is_marked_while_it_lasts():
    lines = []

    class Slow(Toy):
        slow = True

        def picture(self):
            lines.append(self.image.layout.border_bottom)
            if self.a.value == 99:
                raise KeyError
            return super().picture()

    toy = Slow()
    with pytest.raises(KeyError):
        toy.a.value = 99
    assert all("#cc6600" in line for line in lines) and len(lines) == 2
    assert toy.image.layout.border_bottom.endswith("transparent"), "also after an error"
    assert Toy().image.layout.border_bottom is None


def test_what_stands_where():
    toy = Toy()
    assert toy.widget.children == (toy.image, toy.a, toy.b) and is_described(toy.widget)
    sent = toy.image.get_state()
    assert (sent["alt"], sent["width"], sent["clickable"]) == ("a grey picture and nothing else", 300, False)
    other = ipywidgets.Dropdown(description="other")
    toy = Toy(above=[other], play=70, note=True)
    row, image, note, a, last = toy.widget.children
    assert row.children == (other,) and image is toy.image and note is toy.note and a is toy.a
    play, slider = last.children
    assert slider is toy.b and isinstance(play, ipywidgets.Play) and is_described(toy.widget)
    assert (play.min, play.max, play.interval) == (0, 250, 70)


def test_a_control_above_is_not_below():
    class Above(Toy):
        def __init__(self):
            super().__init__()
            Widget.__init__(self, [self.a, self.b], 300, "a grey picture and nothing else", above=[self.a])

    toy = Above()
    assert toy.widget.children[0].children == (toy.a,) and toy.widget.children[1:] == (toy.image, toy.b)


def test_a_widget_without_a_picture_is_none():
    with pytest.raises(NotImplementedError):
        Widget([], 10, "nothing at all to be seen")


def test_pressed_buttons_wait():
    buttons = [ipywidgets.Button(description=text) for text in "ab"]
    with pytest.raises(KeyError), pressed(buttons):
        assert all(button.disabled for button in buttons)
        raise KeyError
    assert not any(button.disabled for button in buttons)


def test_setup_seeds_and_prints(capsys):
    with matplotlib.rc_context({"figure.dpi": 100}):
        device = setup(3)
        assert matplotlib.rcParams["figure.dpi"] == 80
    found = torch.rand(2), np.random.rand(2)
    out = capsys.readouterr().out
    assert f"torch {torch.__version__.split('+')[0]}" in out and "seed: 3" in out and "device: " in out
    assert isinstance(device, torch.device)
    assert torch.equal(found[0], torch.rand(2, generator=torch.Generator().manual_seed(3)))
    assert np.array_equal(found[1], np.random.RandomState(3).rand(2))


def test_every_module_can_be_imported_and_every_chapter_has_its_notebook():
    modules = {found.name for found in pkgutil.iter_modules(teaching.__path__)}
    for name in modules:
        assert importlib.import_module(f"vosedu.teaching.{name}").__doc__, name
    assert set(NOTEBOOKS) <= modules
    notebooks = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
    assert notebooks == [f"{number:02}_{name}" for number, name in enumerate(NOTEBOOKS)]
    for number, name in enumerate(NOTEBOOKS):
        assert importlib.import_module(f"vosedu.teaching.{name}").__doc__.startswith(f"Notebook {number:02}: "), name


def test_names_in_the_texts_exist():
    """Every `vosedu.…` in this wing's docstrings, comments and JavaScript."""
    for path in (ROOT / "vosedu" / "teaching").iterdir():
        for name in re.findall(r"\bvosedu(?:\.\w+)+", path.read_text(encoding="utf-8")) if path.is_file() else ():
            found, *rest = name.split(".")
            place = importlib.import_module(found)
            for part in rest:
                found = f"{found}.{part}"
                place = getattr(place, part, None) or importlib.import_module(found)
