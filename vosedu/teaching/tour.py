"""Notebook 00: a scene through the whole method. The widget `Tour`; there are no exercises."""

import ipywidgets
import numpy as np

from ..features import TARGET_DEPTH
from ..files import datasets
from ..files.clip import load_clip
from ..pipeline import track
from ..segmenter import Segmenter
from .pictures import pca_colours
from .player import Player
from .states import Shown, WithPlayer
from .widget import pressed


class Tour(WithPlayer):
    """Pick a bundled scene and one of its objects; Run takes them through the method and opens a `Player`.

    Args:
        segmenter: does the work.
        scene: shown first.
        height: to which the frames are scaled down, pixels.

    Attributes:
        scene, object: dropdowns; setting `.value` chooses.
        player: of what was run last, or None.
        widget: all of it, for display.
    """

    def __init__(self, segmenter: Segmenter, scene: str = "tumble", height: int = 240):
        self.segmenter, self.height, self.player = segmenter, height, None
        notes = datasets.scene_notes()
        options = [(note["title"], name) for name, note in notes.items()]
        self.scene = ipywidgets.Dropdown(options=options, value=scene, description="scene")
        self.object = ipywidgets.Dropdown(description="object")
        self.button = ipywidgets.Button(description="Run", button_style="primary")
        self.bar = ipywidgets.IntProgress(description="progress", layout=ipywidgets.Layout(width="220px"))
        self.note = ipywidgets.HTML()
        self.stage = ipywidgets.VBox()
        self.scene.observe(self._describe, "value")
        self.button.on_click(self.run)
        self._describe()
        controls = ipywidgets.HBox([self.scene, self.object, self.button, self.bar])
        self.widget = Shown(self, [controls, self.note, self.stage])

    def about(self) -> str:
        """Which scene, and what to watch for."""
        note = datasets.scene_notes()[self.scene.value]
        return f"A scene through the whole method, \"{note['title']}\". {note['watch']}"

    def first_picture(self) -> np.ndarray:
        """The scene's first frame."""
        return load_clip(self.scene.value, short_side=self.height, frames=1).frames[0]

    def _describe(self, _change: object = None) -> None:
        note = datasets.scene_notes()[self.scene.value]
        self.object.options = [(text, int(i)) for i, text in note["objects"].items()]
        self.object.index = 0
        self.note.value = note["watch"]

    def run(self, _button: object = None) -> Player:
        """Segment the chosen object from its first mask on."""
        with pressed([self.button]):
            clip, i = load_clip(self.scene.value, short_side=self.height), self.object.value
            first = datasets.scene(self.scene.value).given[i]
            mask = (clip.masks[first] == i).astype(np.uint8)
            self.bar.value, self.bar.max = 0, len(clip.frames) - first
            frames, colours, scores, labels, basis = [], [], [], [], None
            for shown in track(self.segmenter, clip, {first: mask}):
                picture, basis = pca_colours(self.segmenter.features(shown.frame[None])[TARGET_DEPTH][0], basis)
                frames.append(shown.frame)
                colours.append(picture)
                labels.append(shown.labels)
                if shown.state.scores is not None:
                    scores.append(shown.state.scores[0].float().cpu().numpy())
                self.bar.value += 1
            scores.insert(0, scores[0])  # the first frame is given, not predicted
            self.player = Player(frames, scores, labels, colours)
            self.stage.children = [self.player.widget]
        return self.player
