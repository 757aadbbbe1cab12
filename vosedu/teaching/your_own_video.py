"""Notebook 09: the reader's own video, and clips made of cut-outs. The widgets `Studio` and `SceneEditor`; no exercises."""

import base64
import io
import zipfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import cv2
import ipywidgets
import numpy as np

from ..config import PRESETS
from ..errors import InputError
from ..evaluation.metrics import jaccard
from ..files import datasets
from ..files.clip import Clip, load_clip
from ..files.films import OverlayWriter
from ..files.frames import FrameSource
from ..files.images import check_first_mask, image_files, read_mask, resized, scaled_size, to_size, write_mask
from ..files.threads import BackgroundWriter
from ..files.whole import make_folder, refuse_to_replace
from ..pipeline import segment_video, track
from ..segmenter import Segmenter
from ..training.effects import lay
from .live import Live, with_windows
from .painter import Painter, snap
from .pictures import Packed
from .player import Player
from .states import Shown, WithPlayer, decoded
from .widget import pressed

LARGEST_LINK = 30_000_000
"""Bytes that a download link may hold: it travels to the browser with the widget."""


def download_link(text: str, paths: Sequence[Path]) -> str:
    """HTML that saves files from the browser, wherever the kernel runs: several as a zip; where they are, if too large."""
    if sum(path.stat().st_size for path in paths) > LARGEST_LINK:
        return f"{text}: too large for a link, see <code>{paths[0].parent}</code>"
    if len(paths) == 1:
        name, content = paths[0].name, paths[0].read_bytes()
    else:
        name, buffer = f"{paths[0].parent.name}.zip", io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path in paths:
                archive.write(path, path.name)
        content = buffer.getvalue()
    data = base64.b64encode(content).decode()
    style = "color: #0b57d0; text-decoration: underline"  # JupyterLab gives a link in a widget no looks of its own
    return f'<a style="{style}" download="{name}" href="data:application/octet-stream;base64,{data}">{text}</a>'


class Studio(WithPlayer):
    """Open a video, paint its first frame, and any other in which an object enters or is to be corrected; run, look, take
    the masks home.

    Args:
        path: video file or folder of frames that is open at first.
        out: folder for the masks, the overlay and the painted mask.
        device: as `Segmenter.from_pretrained` takes it.

    Attributes:
        source, short_side, preset: text and dropdowns, the settings.
        at: slider, the frame that is painted on.
        masks: frame index -> what was painted there, uint8 ids at the working size; without the frame under the brush.
        painter: of that frame.
        player: of the last run, or None.
        links: what the browser can save of it.
        widget: all of it, for display.
    """

    def __init__(self, path: Path | str, out: Path | str, device: str = "auto"):
        self.out, self.device, self.player = Path(out), device, None
        wide = ipywidgets.Layout(width="420px")
        self.source = ipywidgets.Text(value=str(path), description="video", layout=wide, continuous_update=False)
        sides = [("short side 240, quick", 240), ("short side 360", 360), ("short side 432", 432)]
        self.short_side = ipywidgets.Dropdown(options=sides, value=240, description="size")
        self.preset = ipywidgets.Dropdown(options=list(PRESETS), value="best", description="preset")
        self.upload = ipywidgets.FileUpload(accept="video/*,image/png", description="video or mask")
        buttons = {"snap to edges": self.snap, "run": self.run}
        self.buttons = [ipywidgets.Button(description=text) for text in buttons]
        for button, call in zip(self.buttons, buttons.values(), strict=True):
            button.on_click(lambda _button, call=call: self._guard(call))
        self.buttons[-1].button_style = "primary"
        self.bar = ipywidgets.IntProgress(description="progress", layout=ipywidgets.Layout(width="220px"))
        self.note, self.stage, self.canvas = ipywidgets.HTML(), ipywidgets.VBox(), ipywidgets.VBox()
        self.links = ipywidgets.HTML()
        self.at = ipywidgets.IntSlider(description="paint frame", continuous_update=False, layout=wide)
        self.at.observe(lambda change: self._guard(lambda: self._turn(change.old)), "value")
        for control in (self.source, self.short_side):
            control.observe(lambda _change: self._guard(self.open), "value")
        self.upload.observe(lambda _change: self._guard(self._take), "value")
        self.open()
        self.widget = Shown(self, [
            ipywidgets.HBox([self.source, self.upload]),
            ipywidgets.HBox([self.short_side, self.preset, *self.buttons, self.bar]),
            self.note, self.links, self.at, self.canvas, self.stage,
        ])

    def about(self) -> str:
        """What it is for."""
        return "The studio: open a video, paint its first frame, run, and look at the masks."

    def first_picture(self) -> np.ndarray:
        """The frame that is painted on."""
        return decoded(self.painter.value)

    def _guard(self, call: Callable[[], None]) -> None:
        """What goes wrong in a callback is said below the buttons; a traceback would go to a log nobody reads."""
        with pressed(self.buttons):
            try:
                call()
            except InputError as error:
                self.note.value = f"<b>{error}</b>"

    def open(self) -> None:
        """Read the first frame and lay it under the brush."""
        self.frames = FrameSource(Path(self.source.value).expanduser())
        self._size, self.masks, self.painter = scaled_size(self.frames.size, self.short_side.value), {}, None
        with self.at.hold_trait_notifications():
            self.at.max, self.at.value = max(0, (self.frames.count or 1) - 1), 0
        self._turn(0)
        self.stage.children, self.player, self.bar.value, self.links.value = [], None, 0, ""
        self.note.value = ("Paint each object with a number of its own; <i>snap to edges</i> tidies a rough outline; then run. "
                           "What enters later is painted in the frame in which it does.")

    def _turn(self, before: int) -> None:
        """Lay the frame that the slider says under the brush; what was painted in the one before is kept."""
        masks = self.painted(before)
        frame = next((picture for _, picture in self.frames.whole(self.at.value)), None)
        if frame is None:
            raise InputError(f"frame {self.at.value} cannot be read: choose an earlier one")
        self.masks = {index: labels for index, labels in masks.items() if index != self.at.value}
        self.painter = Painter(resized(frame, self._size), masks.get(self.at.value))
        self.canvas.children = [self.painter]
        elsewhere = ", ".join(map(str, sorted(self.masks)))
        self.note.value = f"Painted so far: frame {elsewhere}." if elsewhere else "Nothing is painted in another frame."

    def painted(self, now: int | None = None) -> dict[int, np.ndarray]:
        """Frame index -> ids (h, w) of all frames in which anything is painted; `now` is the frame under the brush."""
        if self.painter is None:
            return {}
        here = {self.at.value if now is None else now: self.painter.labels}
        return {index: labels for index, labels in sorted({**self.masks, **here}.items()) if labels.any()}

    def _take(self) -> None:
        """An uploaded file: a PNG is a mask, anything else the video."""
        file = self.upload.value[0]
        path = make_folder(self.out) / Path(file["name"]).name
        if not (path.is_file() and path.read_bytes() == bytes(file["content"])):
            refuse_to_replace("the upload", path)
        path.write_bytes(bytes(file["content"]))
        if path.suffix.lower() == ".png":
            self.painter.labels = to_size(read_mask(path, self.frames.size), self._size)
        else:
            self.source.value = str(path)

    def snap(self) -> None:
        """Pull the painted outlines to edges."""
        self.painter.labels = snap(self.painter.frame, self.painter.labels)

    def run(self) -> None:
        """Segment the video; masks, overlay and the painted mask go into `out`."""
        painted = self.painted()
        check_first_mask(painted[min(painted)] if painted else self.painter.labels, "the painting")
        folder = make_folder(self.out / f"{self.frames.path.stem}-masks")
        film = self.out / f"{self.frames.path.stem}-overlay.mp4"
        given = {index: to_size(labels, self.frames.size) for index, labels in painted.items()}
        for index, labels in given.items():
            name = f"-{self.frames.names(index + 1)[-1]}" if index else ""
            write_mask(self.out / f"{self.frames.path.stem}-painted{name}.png", labels)
        segmenter = Segmenter.from_pretrained(
            "compact", config=PRESETS[self.preset.value], device=self.device, precision="auto",
            short_side=self.short_side.value,
        )
        frames, scores, answers = Packed(), [], Packed(exact=True)
        self.bar.value, self.bar.max = 0, (self.frames.count or 100) - min(given)
        live = Live(self._size)
        self.stage.children = [live]
        with OverlayWriter(film, self.frames.fps, self.frames.size) as drawing, BackgroundWriter() as writer:
            for shown in segment_video(segmenter, self.frames, given, folder, writer, drawing):
                live.show(shown)
                frames.append(with_windows(resized(shown.frame, self._size), shown))
                answers.append(to_size(shown.labels, self._size))
                if shown.state.scores is not None:
                    scores.append(shown.state.scores.amax(dim=0).float().cpu().numpy())
                self.bar.value += 1
        self.player = Player(frames[1:], scores, answers[1:])
        self.stage.children = [self.player.widget]
        took = sum(shown.state.stopwatch.seconds().values())
        self.note.value = (f"{len(frames)} frames, {len(shown.state.ids)} objects, {len(frames) / took:.1f} frames per second "
                           f"of computing. Masks in <code>{folder}</code>, film in <code>{film}</code>.")
        masks = download_link("the masks", image_files(folder))
        self.links.value = f"Save {masks} or {download_link('the film', [film])}."


class SceneEditor(WithPlayer):
    """A clip made of cut-outs, with a target that walks, a look-alike, a pillar and a change of light; segmented, with its J.

    The sprites come from the first frame of the bundled scene "huddle", the backdrop from "hidden".

    Args:
        segmenter: does the work.
        length: frames of the clip.
        height: rows.

    Attributes:
        target: dropdown of the object that is followed.
        likeness: slider; 0 no second toy, 1 a twin of the target; between, its colours turn towards the target's.
        cover: slider; width of the pillar in the middle, in widths of the target.
        light: slider; brightness at the end, as a factor.
        player: of the last run; scores: J of its frames from the second on.
        widget: all of it, for display.
    """

    def __init__(self, segmenter: Segmenter, length: int = 24, height: int = 240):
        self.segmenter, self.length = segmenter, length
        toys = load_clip("huddle", short_side=height, frames=1)
        self.backdrop = load_clip("hidden", short_side=height, frames=21).frames[20]  # its target is out of sight there
        frame, labels = toys.frames[0], toys.masks[0]
        self.sprites = {i: self._sprite(frame, labels == i) for i in (1, 2, 3, 4)}
        names = datasets.scene_notes()["huddle"]["objects"]
        slider = {"continuous_update": False, "style": {"description_width": "90px"}}
        self.target = ipywidgets.Dropdown(options=[(names[str(i)], i) for i in self.sprites], value=3, description="target")
        self.likeness = ipywidgets.FloatSlider(value=0.0, min=0, max=1, step=0.1, description="look-alike", **slider)
        self.cover = ipywidgets.FloatSlider(value=0.0, min=0, max=2, step=0.1, description="pillar", **slider)
        self.light = ipywidgets.FloatSlider(value=1.0, min=0.3, max=1.7, step=0.1, description="light at end", **slider)
        self.button = ipywidgets.Button(description="Apply", button_style="primary")
        self.button.on_click(self.run)
        self.note, self.stage = ipywidgets.HTML(), ipywidgets.VBox()
        self.run()
        for control in (self.target, self.likeness, self.cover, self.light):
            control.observe(self._set, "value")
        controls = [self.target, self.likeness, self.cover, self.light, self.button]
        wrap = ipywidgets.Layout(flex_flow="row wrap")
        self.widget = Shown(self, [ipywidgets.HBox(controls, layout=wrap), self.note, self.stage])

    def about(self) -> str:
        """What is in the clip, and how well it was followed."""
        return ("A clip made of cut-outs, with a target, a look-alike, a pillar and a change of light to set. "
                f"{self.note.value[:1].upper()}{self.note.value[1:]}.")

    @staticmethod
    def _sprite(frame: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours and mask, cropped to the object."""
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        return frame[y : y + height, x : x + width], mask[y : y + height, x : x + width]

    def _place(self, picture: np.ndarray, sprite: tuple[np.ndarray, np.ndarray], x: int, foot: int) -> np.ndarray:
        """Lay a sprite on the picture, its middle at x, its foot at a row; returns where it shows, bool (H, W)."""
        colours, mask = sprite
        shift = np.float32([[1, 0, x - mask.shape[1] // 2], [0, 1, foot - mask.shape[0]]])
        size = picture.shape[1::-1]
        alpha = cv2.warpAffine(mask.astype(np.float32), shift, size, flags=cv2.INTER_NEAREST)
        picture[:] = np.rint(lay(picture, cv2.warpAffine(colours, shift, size), cv2.GaussianBlur(alpha, (0, 0), 0.6)))
        return alpha > 0.5

    def _set(self, _change: object) -> None:
        """Say that what is shown is of other settings."""
        self.note.value = "<b>not applied yet</b>: the clip and J below are of the settings before; press Apply"

    def clip(self) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 RGB (T, H, W, 3) and exact masks of the target uint8 (T, H, W)."""
        height, width = self.backdrop.shape[:2]
        colours, mask = self.sprites[self.target.value]
        other, other_mask = self.sprites[1 if self.target.value != 1 else 2]
        if self.likeness.value > 0.5:  # nearer a twin than a stranger: the target's own shape, mirrored
            other, other_mask = colours[:, ::-1], mask[:, ::-1]
        mean, twin = (c[m].mean(axis=0) for c, m in ((other, other_mask), (colours, mask)))
        if self.likeness.value <= 0.5:
            other = np.clip(other + 2 * self.likeness.value * (twin - mean), 0, 255).astype(np.uint8)
        else:
            grey = 1 - 2 * (self.likeness.value - 0.5)
            other = np.clip(other + grey * (mean[::-1] - mean), 0, 255).astype(np.uint8)
        frames, masks = [], []
        foot = round(0.88 * height)
        for t in np.linspace(0, 1, self.length):
            picture = self.backdrop.copy()
            if self.likeness.value > 0:
                self._place(picture, (other, other_mask), round(width * (0.85 - 0.6 * t)), round(0.8 * height))
            y = self._place(picture, (colours, mask), round(width * (0.2 + 0.6 * t)), foot - round(3 * abs(np.sin(9 * t))))
            half = round(self.cover.value * mask.shape[1] / 2)
            if half:
                pillar = slice(width // 2 - half, width // 2 + half)
                picture[:, pillar] = np.linspace(150, 95, 2 * half)[None, :, None].astype(np.uint8)
                y[:, pillar] = False
            frames.append(np.clip(picture * (1 + t * (self.light.value - 1)), 0, 255).astype(np.uint8))
            masks.append(y.astype(np.uint8))
        return np.stack(frames), np.stack(masks)

    def run(self, _button: object = None) -> None:
        """Make the clip, segment it, show J."""
        with pressed([self.button]):
            frames, masks = self.clip()
            shown = track(self.segmenter, Clip("made of cut-outs", frames, masks), {0: masks[0]})
            answers = [(frame.labels, frame.state.scores[0].float().cpu().numpy()) for frame in islice(shown, 1, None)]
            labels, scores = zip(*answers, strict=True)
            self.scores = [jaccard(a, b) for a, b in zip(labels, masks[1:], strict=True)]
            self.player = Player(list(frames[1:]), list(scores), list(labels))
            self.stage.children = [self.player.widget]
            worst = int(np.argmin(self.scores))
            self.note.value = f"J {np.mean(self.scores):.2f}; lowest in frame {worst + 1}: {self.scores[worst]:.2f}"
            self.player.index.value = worst
