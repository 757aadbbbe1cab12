"""Notebook 00: a scene through the whole method. The widget `Tour`; there are no exercises."""

import os
from pathlib import Path

import ipywidgets
import numpy as np

from ..features import TARGET_DEPTH
from ..files import datasets
from ..files.clip import Clip, load_clip
from ..pipeline import track
from ..segmenter import Segmenter
from .live import Live
from .pictures import Packed, pca_colours
from .player import Player
from .states import Shown, WithPlayer
from .widget import pressed

DAVIS = "davis2016/"
"""Before the name of a sequence of DAVIS, among the choices."""


def davis_at_hand() -> Path | None:
    """The folder of DAVIS 2016: VOSEDU_DATA itself, or davis2016 or DAVIS in it; None where there is none."""
    root = Path(os.environ.get("VOSEDU_DATA") or "nowhere")
    found = (folder for folder in (root / "davis2016", root / "DAVIS", root) if (folder / "JPEGImages" / "480p").is_dir())
    return next(found, None)


def davis_sequences(root: Path | None) -> list[str]:
    """The names of the sequences in a folder of DAVIS that have masks; none without a folder."""
    if root is None:
        return []
    return sorted(p.name for p in (root / "JPEGImages" / "480p").iterdir() if (root / "Annotations" / "480p" / p.name).is_dir())


class Tour(WithPlayer):
    """Pick a bundled scene and one of its objects; Run takes them through the method and opens a `Player`.

    Where a folder of real data is at hand (the environment variable VOSEDU_DATA, with davis2016/ in it), its sequences stand
    below the scenes.

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
        self.davis = davis_at_hand()
        options = [(note["title"], name) for name, note in datasets.scene_notes().items()]
        options += [(f"DAVIS: {name}", DAVIS + name) for name in davis_sequences(self.davis)]
        self.scene = ipywidgets.Dropdown(options=options, value=scene, description="scene")
        self.object = ipywidgets.Dropdown(description="object")
        self.button = ipywidgets.Button(description="Run", button_style="primary")
        self.bar = ipywidgets.IntProgress(description="progress", layout=ipywidgets.Layout(width="220px"))
        self.note = ipywidgets.HTML()
        self.stage = ipywidgets.VBox()
        self.scene.observe(self._describe, "value")
        self.object.observe(self._clear, "value")
        self.button.on_click(self.run)
        self._describe()
        controls = ipywidgets.HBox([self.scene, self.object, self.button, self.bar])
        self.widget = Shown(self, [controls, self.note, self.stage])

    def about(self) -> str:
        """Which scene, and what to watch for."""
        note = self._note()
        return f"A scene through the whole method, \"{note['title']}\". {note['watch']}"

    def first_picture(self) -> np.ndarray:
        """The scene's first frame."""
        return self._clip(1).frames[0]

    def _chosen(self) -> tuple[str, bool]:
        """The name of the scene or sequence that is chosen, and whether it is one of DAVIS."""
        name = self.scene.value.removeprefix(DAVIS)
        return name, name != self.scene.value

    def _note(self) -> dict:
        """Title, objects and what to watch for, of what is chosen."""
        name, real = self._chosen()
        if real:
            return {"title": f"DAVIS: {name}", "objects": {"1": "all that is moving"},
                    "watch": "Real video: blur, light and outlines are no renderer's."}
        return datasets.scene_notes()[name]

    def _clip(self, frames: int | None = None) -> Clip:
        name, real = self._chosen()
        return load_clip(name, self.height, frames, *((self.davis, "davis2016") if real else ()))

    def _clear(self, _change: object = None) -> None:
        """What was run before is of another scene or object, and does not stay as if it were of this one."""
        self.player, self.stage.children, self.bar.value = None, (), 0

    def _describe(self, _change: object = None) -> None:
        note = self._note()
        self._clear()
        self.object.options = [(text, int(i)) for i, text in note["objects"].items()]
        self.object.index = 0
        self.note.value = note["watch"]

    def run(self, _button: object = None) -> Player:
        """Segment the chosen object from its first mask on."""
        with pressed([self.button]):
            clip, i = self._clip(), self.object.value
            name, real = self._chosen()
            first = 0 if real else datasets.scene(name).given[i]
            mask = (clip.masks[first] == i).astype(np.uint8)
            self.bar.value, self.bar.max = 0, len(clip.frames) - first
            frames, labels, colours, scores, basis = Packed(), Packed(exact=True), [], [], None
            live = Live(clip.size)
            self.stage.children = [live]
            for shown in track(self.segmenter, clip, {first: mask}):
                live.show(shown)
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
