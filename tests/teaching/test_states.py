"""What a widget looks like without a kernel: all settings of a grid, drawn beforehand and put into a page."""

import base64
import importlib
import json
import pkgutil
import random
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
from teaching.every import FRAMES, LABELS, SCORES, every_widget, training
from teaching.seeing import close, flat, shown

from vosedu import teaching
from vosedu.teaching import states
from vosedu.teaching.pictures import jpeg
from vosedu.teaching.player import Player
from vosedu.teaching.states import Axis, States, WithPlayer, axis, decoded, encoded, small_png, values_of, webp
from vosedu.teaching.widget import Widget


class Toy(Widget):
    """A flat picture as bright as two controls say."""

    def __init__(self, **options):
        self.a = ipywidgets.IntSlider(value=20, max=40, step=20, description="a")
        self.b = ipywidgets.Checkbox(value=False, description="b")
        super().__init__([self.a, self.b], 300, "a grey picture and nothing else", **options)

    def prepare(self):
        self.note.value = f"<b>{self.a.value}</b> and {self.b.value}"

    def picture(self):
        return flat(self.a.value + 100 * self.b.value, (20, 30))


def test_all_settings_in_order_and_everything_as_it_was():
    toy = Toy()
    found = toy.states()
    assert found.axes == (Axis("a", "slider", ("0", "20", "40"), 1), Axis("b", "switch", ("False", "True"), 0))
    levels = [0, 100, 20, 120, 40, 140]
    assert found.words == ("0 and False", "0 and True", "20 and False", "20 and True", "40 and False", "40 and True")
    assert all(close(decoded(found.pictures[k]), level, 3) for k, level in zip(found.which, levels, strict=True))
    assert found.start == 2 and found.alt == "a grey picture and nothing else"
    assert (toy.a.value, toy.b.value) == (20, False) and close(shown(toy), 20, 3)


def test_it_begins_as_it_was_when_displayed():
    toy = Toy()
    toy.a.value, toy.b.value = 40, True
    toy.widget._repr_mimebundle_()
    toy.a.value = 0
    found = toy.states()
    assert found.start == 5 and toy.a.value == 0 and [a.start for a in found.axes] == [2, 1]


def test_the_play_button_belongs_to_the_last_control():
    player = Player(FRAMES, SCORES, LABELS)
    assert [a.play for a in player.states().axes] == [0, 120] and [a.play for a in Toy().states().axes] == [0, 0]


def test_equal_pictures_are_kept_once():
    pictures = [flat(level, (24, 32)) for level in (10, 90, 10, 200, 90)]
    found, which = encoded([jpeg(p) for p in pictures])
    assert len(found) == 3 and which == (0, 1, 0, 2, 1)
    assert [round(decoded(found[k]).mean(), -1) for k in which] == [10, 90, 10, 200, 90]


def test_many_pictures_share_a_limit():
    rng = np.random.default_rng(0)
    noisy = [jpeg(rng.integers(0, 255, (120, 160, 3)).astype(np.uint8)) for _ in range(6)]
    free, tight, tightest = (sum(map(len, encoded(noisy, most)[0])) for most in (10**9, 60_000, 1))
    assert tightest < tight <= 66_000 < free


def test_a_wide_picture_is_made_smaller():
    assert decoded(webp(flat(90, (200, 1000)), 80)).shape == (172, 860, 3)
    assert decoded(webp(flat(90, (200, 800)), 80)).shape == (200, 800, 3)


def test_a_stored_picture_is_small_and_still_the_picture():
    y, x = np.mgrid[:240, :860]
    picture = np.stack([x % 256, y, 255 - y], axis=2).astype(np.uint8)
    whole = small_png(picture, 10**7)
    small = small_png(picture, len(whole) // 2)
    assert decoded(whole).shape == (240, 860, 3) and decoded(small).shape[1] < 860 and 2 * len(small) <= len(whole)
    assert np.abs(decoded(whole).astype(int) - picture).mean() < 12
    noise = np.random.default_rng(0).integers(0, 255, (240, 860, 3)).astype(np.uint8)
    assert decoded(small_png(noise, 1)).shape == (45, 160, 3), "never narrower than this"


@pytest.mark.parametrize("control, wanted", [
    (ipywidgets.Dropdown(options=[("one", 1), ("two", 2)], value=1), (1, 2)),
    (ipywidgets.ToggleButtons(options=["p", "q"]), ("p", "q")),
    (ipywidgets.Checkbox(value=True), (False, True)),
    (ipywidgets.IntSlider(value=3, min=1, max=9, step=2), (1, 3, 5, 7, 9)),
    (ipywidgets.IntSlider(value=7, min=0, max=120), (0, 7, 20, 40, 60, 80, 100, 120)),
    (ipywidgets.FloatSlider(value=0.25, min=0, max=3), (0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3)),
    (ipywidgets.FloatLogSlider(value=5, min=-3, max=3), (0.001, 0.01, 0.1, 1, 5, 10, 100, 1000)),
], ids=lambda part: type(part).__name__)
def test_values_of_controls(control, wanted):
    assert values_of(control) == pytest.approx(wanted) if isinstance(wanted[0], float) else values_of(control) == wanted


def test_labels_and_the_start_of_an_axis():
    choice = ipywidgets.Dropdown(options=[("one", (1, 2)), ("two", (3, 4))], description="which")
    assert axis(choice, [(1, 2), (3, 4)], (3, 4)) == Axis("which", "choice", ("one", "two"), 1)
    slider = ipywidgets.FloatLogSlider(description="share")
    assert axis(slider, [0.001, 0.12345, 1.0], 0.2, 50) == Axis("share", "slider", ("0.001", "0.123", "1"), 1, 50)


class Page(HTMLParser):
    """The tags of a page with their attributes, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open = tag

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open == "script":
            self.scripts.append(data)


def test_a_page_holds_everything_and_fetches_nothing():
    pictures = tuple(webp(flat(level, (8, 8)), 80) for level in (10, 200))
    words = ("a < b & </script><script>alert(1)</script>", 'says "no"')
    found = States("A <picture>", (Axis("x", "slider", ("0", "1"), 1),), pictures, (1, 0), words, (0.5, 1.0))
    page = Page(found.page())
    assert [tag for tag, _ in page.tags] == ["figure", "img", "p", "script", "script"]
    img = page.tags[1][1]
    assert img["alt"] == 'A <picture>. says "no"'
    assert base64.b64decode(img["src"].split(",")[1]) == pictures[0], "the picture of the start"
    record = json.loads(page.scripts[0])
    assert tuple(record["words"]) == words and record["which"] == [1, 0] and record["click"] == [0.5, 1.0]
    assert record["axes"] == [{"name": "x", "kind": "slider", "labels": ["0", "1"], "start": 1, "play": 0}]
    assert [base64.b64decode(url.split(",")[1]) for url in record["pictures"]] == list(pictures)
    assert "http" not in found.page()


def test_the_script_is_small_and_needs_nothing():
    text = states.SCRIPT.read_text(encoding="utf-8")
    assert len(text.encode()) < 10_000
    assert not re.search(r"\b(import|require|fetch|XMLHttpRequest|https?:)\b", text)


@pytest.fixture(scope="module")
def widgets():
    return every_widget()


def test_every_class_of_widgets_is_among_them(widgets):
    modules = [importlib.import_module(f"vosedu.teaching.{found.name}") for found in pkgutil.iter_modules(teaching.__path__)]
    classes = {thing for module in modules for thing in vars(module).values() if isinstance(thing, type)}
    named = {c.__name__ for c in classes if issubclass(c, (Widget, WithPlayer)) and c not in (Widget, WithPlayer)}
    assert named - {"Studio", "SceneEditor"} == set(widgets)  # these two open a player, as the tour does


NAMES = ["Tour", "Player", "Probe", "Relearner", "Microscope", "WarpBench", "BlobBench", "DepthBench", "MemoryStrip",
         "TrainingView", "CurveReader"]


@pytest.mark.parametrize("name", NAMES)
def test_states_are_what_the_live_widget_shows(widgets, name):
    """Some settings at random, each set by hand: the picture and the words are those that were kept for it."""
    widget = widgets[name]
    found, live = widget.states(), getattr(widget, "player", widget)
    grid = live.grid()
    assert len(found.which) == len(found.words) == np.prod([len(values) for values in grid.values()])
    assert [a.name for a in found.axes] == [control.description for control in grid]
    draw = random.Random(0)
    for _ in range(12):
        places = [draw.randrange(len(values)) for values in grid.values()]
        number = 0
        for place, values in zip(places, grid.values(), strict=True):
            number = number * len(values) + place
        for control, place, values in zip(grid, places, grid.values(), strict=True):
            control.value = values[place]
        kept = decoded(found.pictures[found.which[number]]).astype(int)
        wanted = np.asarray(shown(live))
        assert kept.shape == wanted.shape and np.abs(kept - wanted).mean() < 4, places
        assert found.words[number] == live.words()
    assert len(set(found.which)) > 1 and len(set(found.words)) > 1 and len(found.pictures) <= 400


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_output_is_a_picture_and_a_sentence(widgets, name):
    data, metadata = widgets[name].widget._repr_mimebundle_()
    live = getattr(widgets[name], "player", widgets[name])
    words = data["text/plain"]
    assert re.match(r"[A-Z\"].{20,}\.$", words, re.S) and "VBox" not in words and live.words() in words
    assert ". Controls: " in words and ".." not in words
    assert metadata["image/png"]["alt"] == words and metadata[states.MARK] == name
    picture, wanted = decoded(base64.b64decode(data["image/png"])), np.asarray(shown(live))
    assert len(data["image/png"]) <= 64_000 and picture.shape[0] / picture.shape[1] == pytest.approx(
        wanted.shape[0] / wanted.shape[1], rel=0.02)
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_training_begins_with_its_last_checkpoint():
    assert training().states().start == 2


def test_an_unequal_pair_of_videos(widgets):
    """Of the shorter one the last frame stands for those that it lacks."""
    found = widgets["CurveReader"].states()
    assert len(found.which) == 8 and found.which[6] == found.which[7] and found.words[6] == found.words[7]


def test_before_a_run_there_is_a_picture_and_nothing_to_set():
    class Idle(WithPlayer):
        def about(self):
            return "Nothing has run yet here."

        def first_picture(self):
            return flat(90)

    found = Idle().states()
    assert found.axes == () and found.which == (0,) and close(decoded(found.pictures[0]), 90, 3)
    assert Idle().sentence() == "Nothing has run yet here." and found.start == 0


def test_a_report_has_the_states_of_all_that_was_displayed(monkeypatch):
    monkeypatch.setattr(states, "DISPLAYED", {})
    sent = []
    monkeypatch.setattr(states, "display", lambda data, raw, metadata: sent.append((data, raw, metadata)))
    toy, other = Toy(), Toy()
    view = toy.widget._repr_mimebundle_()[0]["application/vnd.jupyter.widget-view+json"]
    states.report()
    (data, raw, metadata), = sent
    assert raw and metadata == {"model_id": view["model_id"]} and data["text/html"] == toy.states().page()
    assert other.widget.model_id not in states.DISPLAYED


def test_the_owner_of_a_box_is_asked_when_it_is_displayed():
    asked = []
    owner = SimpleNamespace(displayed=lambda: asked.append("displayed"), sentence=lambda: "A box.", still=lambda: flat(9))
    box = states.Shown(owner, [])
    assert asked == [] and box._repr_mimebundle_()[0]["text/plain"] == "A box." and asked == ["displayed"]
