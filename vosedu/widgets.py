"""What the notebooks show. The engine never imports this module.

Pictures travel as JPEG bytes into an `ipywidgets.Image`; no figure is drawn in a callback.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anywidget
import cv2
import ipywidgets
import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
import traitlets

from . import datasets
from .augmentation import cut_out, paste
from .clips import Clips
from .config import Config
from .doctor import machine, versions
from .evaluation import to_size
from .features import TARGET_DEPTH
from .memory import initial_gamma
from .metrics import boundary_f, jaccard
from .pictures import boundary_picture, chart, jpeg, parts_picture, pca_colours, score_picture, with_scale
from .segmenter import FirstFrame, Segmenter, pick_device
from .solver import Iterate, gauss_newton
from .target_model import NormalForm, TargetModel, WeightedSamples, first_frame_problem, learn, pixel_weights
from .training import Training
from .video import FrameSource, overlay

VIEWS = ("all", "score map", "mask", "frame")


def setup(seed: int = 0) -> torch.device:
    """Seed NumPy and PyTorch, set the size of figures, print versions, device and seed; returns the device."""
    np.random.seed(seed)
    torch.manual_seed(seed)
    matplotlib.rcParams["figure.dpi"] = 80  # keeps a committed notebook small
    device = pick_device()
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"device: {machine(device)}; seed: {seed}")
    return device


class Player:
    """Frame by frame through a segmented video: what each part of the method makes of it.

    Args:
        frames: T arrays uint8 RGB (H, W, 3).
        scores: T score maps (h, w).
        labels: T arrays of ids (H, W).
        colours: T feature maps as pictures (h, w, 3), for the view "all"; without them there is no such view.

    Attributes:
        index: slider over frames; setting `index.value` draws.
        view: one of `VIEWS`.
        image: the picture, JPEG bytes in `image.value`.
        widget: all of it, for display.
    """

    def __init__(
        self,
        frames: list[np.ndarray],
        scores: list[np.ndarray],
        labels: list[np.ndarray],
        colours: list[np.ndarray] | None = None,
    ):
        self.frames, self.scores, self.labels, self.colours = frames, scores, labels, colours
        last = len(frames) - 1
        self.index = ipywidgets.IntSlider(value=last // 2, min=0, max=last, description="frame")
        play = ipywidgets.Play(min=0, max=last, interval=120)
        ipywidgets.jslink((self.index, "value"), (play, "value"))  # the first of the two says where both begin
        self.view = ipywidgets.ToggleButtons(options=VIEWS if colours else VIEWS[1:])
        self.image = ipywidgets.Image(format="jpeg", width=min(860, 2 * frames[0].shape[1]))
        self._lock = threading.Lock()  # callbacks may come on another thread
        self.index.observe(self._draw, "value")
        self.view.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.view, self.image, ipywidgets.HBox([play, self.index])])

    def picture(self, index: int, view: str) -> np.ndarray:
        """What is shown for a frame: uint8 RGB (H, W, 3), twice that in both directions for "all"."""
        frame = self.frames[index]
        if view == "all":
            return parts_picture(frame, self.colours[index], self.scores[index], self.labels[index])
        if view == "mask":
            return overlay(frame, self.labels[index])
        return with_scale(score_picture(self.scores[index], frame)) if view == "score map" else frame

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture(self.index.value, self.view.value))


class Tour:
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
        self.scene = ipywidgets.Dropdown(options=[(n["title"], name) for name, n in notes.items()], value=scene)
        self.object = ipywidgets.Dropdown()
        self.button = ipywidgets.Button(description="Run", button_style="primary")
        self.bar = ipywidgets.IntProgress(layout=ipywidgets.Layout(width="140px"))
        self.note = ipywidgets.HTML()
        self.stage = ipywidgets.VBox()
        self.scene.observe(self._describe, "value")
        self.button.on_click(self.run)
        self._describe()
        controls = ipywidgets.HBox([self.scene, self.object, self.button, self.bar])
        self.widget = ipywidgets.VBox([controls, self.note, self.stage])

    def _describe(self, _change: object = None) -> None:
        note = datasets.scene_notes()[self.scene.value]
        self.object.options = [(text, int(i)) for i, text in note["objects"].items()]
        self.object.index = 0
        self.note.value = note["watch"]

    def run(self, _button: object = None) -> Player:
        """Segment the chosen object from its first mask on."""
        self.button.disabled = True
        try:
            scene, i = datasets.scene(self.scene.value), self.object.value
            source = FrameSource(scene.frames, short_side=self.height)
            frames = [frame for _, frame in source][scene.given[i]:]
            mask = to_size((scene.labels(scene.given[i]) == i).astype(np.uint8), frames[0].shape[:2])
            video, basis = self.segmenter.start(frames[0], mask), None
            self.bar.value, self.bar.max = 0, len(frames)
            colours, scores, labels = [], [], [mask]
            for t, frame in enumerate(frames):
                features = self.segmenter.features(frame[None])[TARGET_DEPTH][0]
                picture, basis = pca_colours(features, basis)
                colours.append(picture)
                if t > 0:
                    labels.append(video.step(frame).cpu().numpy())
                    scores.append(video.scores[0].float().cpu().numpy())
                self.bar.value = t + 1
            scores.insert(0, scores[0])  # the first frame is given, not predicted
            self.player = Player(frames, scores, labels, colours)
            self.stage.children = [self.player.widget]
        finally:
            self.button.disabled = False
        return self.player


class MemoryStrip:
    """What M holds, frame by frame: one thumbnail a sample, its area in proportion to its weight gamma.

    Args:
        pictures: K pictures uint8 RGB (H, W, 3), one a slot in the order in which they were filled.
        gammas: (T, K) weights of all slots after each frame, 0 where a slot is empty.
        first: how many of them are samples of the first frame; they stand in a block of their own.

    Attributes:
        index: slider over frames.
        image, widget: as in `Player`.
    """

    SIZE = 320, 860
    """Rows and columns of the picture."""
    HEAD = 20
    """Rows of a block's heading."""

    def __init__(self, pictures: Sequence[np.ndarray], gammas: np.ndarray, first: int):
        self.pictures, self.gammas, self.first = pictures, np.asarray(gammas), first
        last = len(self.gammas) - 1
        self.index = ipywidgets.IntSlider(value=last, min=0, max=last, description="frame")
        play = ipywidgets.Play(min=0, max=last, interval=200)
        ipywidgets.jslink((self.index, "value"), (play, "value"))  # the first of the two says where both begin
        self.image = ipywidgets.Image(format="jpeg", width=self.SIZE[1])
        self._lock = threading.Lock()
        self.index.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.image, ipywidgets.HBox([play, self.index])])

    def picture(self, index: int) -> np.ndarray:
        """The memory after a frame: uint8 RGB; first-frame samples above, the method's own masks below, oldest first."""
        blocks = (("samples of the first frame", slice(0, self.first)), ("masks of its own", slice(self.first, None)))
        rows = []
        for name, part in blocks:
            block = np.full((self.SIZE[0] // 2, self.SIZE[1], 3), 255, np.uint8)
            gammas = self.gammas[index, part]
            text = f"{name}: {np.count_nonzero(gammas)}, together {gammas.sum():.2f} of all weight"
            cv2.putText(block, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
            self._lay(block[self.HEAD :], self.pictures[part], gammas)
            rows.append(block)
        return np.vstack(rows)

    def _lay(self, block: np.ndarray, pictures: Sequence[np.ndarray], gammas: np.ndarray) -> None:
        """Thumbnails from left to right, line by line."""
        height, width = block.shape[:2]
        shape = self.pictures[0].shape
        # one scale for both blocks and all frames: the heaviest sample fits, and so do all of the weight's thumbnails
        fits = np.sqrt(0.6 * height * width * shape[0] / shape[1])
        scale = min(height / np.sqrt(self.gammas.max()), fits)
        x, y, tallest = 2, 0, 0
        for picture, gamma in zip(pictures, gammas, strict=True):
            rows = round(scale * np.sqrt(gamma))
            columns = round(rows * shape[1] / shape[0])
            if rows < 2:
                continue
            if x + columns > width:
                x, y, tallest = 2, y + tallest + 2, 0
            if y + rows > height:
                break
            block[y : y + rows, x : x + columns] = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
            x, tallest = x + columns + 2, max(tallest, rows)

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture(self.index.value))


class Microscope:
    """The solver, iteration by iteration: D's score map on the first frame, the loss and the CG residual.

    Args:
        frame: the first frame, uint8 RGB (H, W, 3).
        samples: its first-frame samples.
        config: all numbers; the schedule of Gauss-Newton and CG among them.
        seed: of the start.

    Attributes:
        index: slider over iterations, 0 is the start.
        losses, residuals: one value an iteration; the start has no residual and repeats the first.
        steps: (Gauss-Newton step, CG iteration) of each.
        scores: score map (h, w) of each.
        image, widget: as in `Player`.
    """

    def __init__(self, frame: np.ndarray, samples: FirstFrame, config: Config, seed: int = 0):
        self.frame = frame
        gamma = initial_gamma(1, len(samples.images), config.first_weight, samples.features)
        problem, start, _ = first_frame_problem(samples.features, samples.normal(config), gamma, config, seed)
        iterates = [start]
        self.steps, self.residuals = [(0, 0)], []

        def keep(iterate: Iterate) -> None:
            iterates.append(iterate.w)
            self.steps.append((iterate.step + 1, iterate.iteration + 1))
            self.residuals.append(iterate.residual.item())

        gauss_newton(problem, start, config.gn_schedule(), keep)
        self.residuals.insert(0, self.residuals[0])
        self.losses = [problem.loss(w).item() for w in iterates]
        normal = NormalForm(*(part[:, :1] for part in samples.normal(config)))
        first = WeightedSamples(samples.features[:, :1], normal, gamma[:, :1])
        layers = [problem.split(w) for w in iterates]
        self.scores = [first.scores(w2 @ w1 @ problem.matrix)[0, 0].cpu().numpy() for w1, w2 in layers]
        self.index = ipywidgets.IntSlider(value=len(iterates) // 4, min=0, max=len(iterates) - 1, description="iteration")
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * frame.shape[1]))
        self._lock = threading.Lock()
        self.index.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.image, self.index])

    def picture(self, index: int) -> np.ndarray:
        """Score map on the left, loss and residual with this iteration marked on the right; uint8 RGB."""
        left = with_scale(score_picture(self.scores[index], self.frame))
        step, iteration = self.steps[index]
        text = f"Gauss-Newton step {step}, CG iteration {iteration}" if index else "start"
        cv2.putText(left, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        half = left.shape[0] // 2, left.shape[1]
        right = np.vstack([chart(np.array(self.losses), index, half, "loss"),
                           chart(np.array(self.residuals), index, (left.shape[0] - half[0], half[1]), "CG residual")])
        return np.hstack([left, right])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture(self.index.value))


class Relearner:
    """D, learned anew whenever a slider is let go: what kappa_min, lambda and the position of the labels do.

    Args:
        frames: the first frame and one to look at, uint8 RGB (H, W, 3).
        samples: first-frame samples of the first.
        features: conv4_x of the second, (C, h, w).
        config: what the sliders do not set.

    Attributes:
        share, decay, shift: sliders: kappa_min, log10 of both lambdas, columns by which the labels are moved.
        rule: dropdown of the readings of eq. (4), `RULES`.
        note: the balance meter (the target's share of the loss), and the seconds that learning took.
        image, widget: as in `Player`.
    """

    RULES = (("max, root (meant)", ("max", "root")), ("max, v as printed", ("max", "printed")),
             ("min, v as printed", ("min", "printed")))

    def __init__(self, frames: list[np.ndarray], samples: FirstFrame, features: torch.Tensor, config: Config):
        self.frames, self.samples, self.features, self.config = frames, samples, features, config
        options = {"continuous_update": False}
        self.share = ipywidgets.FloatLogSlider(value=config.target_share, min=-3, max=-0.1, description="kappa_min", **options)
        decay = float(np.log10(config.projection_decay))
        self.decay = ipywidgets.FloatSlider(value=decay, min=-4, max=6, step=0.5, description="log10 lambda", **options)
        self.shift = ipywidgets.IntSlider(value=0, min=-96, max=96, step=16, description="shift", **options)
        self.rule = ipywidgets.Dropdown(options=self.RULES, description="eq. (4)")
        self.note = ipywidgets.HTML()
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * frames[0].shape[1]))
        self._lock = threading.Lock()
        controls = self.share, self.rule, self.decay, self.shift
        for control in controls:
            control.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.image, self.note, *controls])

    @torch.inference_mode()
    def learn(self) -> tuple[TargetModel, float]:
        """D by the sliders, and the target's share of the squared weights."""
        decay = 10**self.decay.value
        rule, power = self.rule.value
        config = replace(self.config, target_share=self.share.value, share_rule=rule, weight_power=power,
                         projection_decay=decay, filter_decay=decay)
        labels = torch.roll(self.samples.labels, self.shift.value, dims=2)
        v = pixel_weights(labels, config.target_share, config.share_rule, config.weight_power).square()
        gamma = initial_gamma(1, len(labels), config.first_weight, self.samples.features)
        model = learn(self.samples.features, self.samples._replace(labels=labels).normal(config), gamma, config)
        return model, ((v * labels).sum() / v.sum()).item()

    def picture(self, model: TargetModel) -> np.ndarray:
        """Its score maps over both frames, side by side; uint8 RGB."""
        channels = self.samples.features.shape[2]
        first = self.samples.features[0, 0].view(channels, *self.samples.size)
        scores = [model.scores(model.project(x))[0].cpu().numpy() for x in (first, self.features)]
        return with_scale(np.hstack([score_picture(s, frame) for s, frame in zip(scores, self.frames, strict=True)]))

    @torch.inference_mode()
    def _draw(self, _change: object = None) -> None:
        with self._lock:
            began = time.perf_counter()
            model, share = self.learn()
            took = time.perf_counter() - began
            self.note.value = (f"target's share of the loss <progress max='1' value='{share:.3f}'></progress> {share:.2f}; "
                               f"learned in {took:.2f} s")
            self.image.value = jpeg(self.picture(model))


class Clickable(anywidget.AnyWidget):
    """A picture that says where it was clicked.

    Attributes:
        value: JPEG bytes.
        point: (x, y) of the last click, in the picture's own pixels; (-1, -1) before the first.
        alt: text in the picture's place.
    """

    _esm = Path(__file__).with_name("clickable.js")
    value = traitlets.Bytes().tag(sync=True)
    point = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(-1, -1)).tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)


class Probe:
    """Where does another frame resemble one position of the first? Cosine of features, at a depth.

    Args:
        frames: two frames, uint8 RGB (H, W, 3).
        maps: the five maps (1, C_d, h_d, w_d) of each.

    Attributes:
        x, y: sliders, the position in pixels; a click on the first frame sets both.
        depth: toggle of the depth, 1 to 4.
        centred: checkbox; the mean over both maps is taken away first, for it makes all positions alike.
        image, widget: as in `Player`.
    """

    def __init__(self, frames: Sequence[np.ndarray], maps: Sequence[Sequence[torch.Tensor]]):
        self.frames, self.maps = frames, maps
        height, width = frames[0].shape[:2]
        self.x = ipywidgets.IntSlider(value=width // 4, min=0, max=width - 1, description="x")
        self.y = ipywidgets.IntSlider(value=height // 4, min=0, max=height - 1, description="y")
        options = [("conv2_x", 1), ("conv3_x", 2), ("conv4_x", 3), ("conv5_x", 4)]
        self.depth = ipywidgets.ToggleButtons(options=options, value=3)
        self.centred = ipywidgets.Checkbox(value=False, description="take the mean away")
        self.image = Clickable(alt="a frame with the probed position, and where another frame resembles it")
        self._lock = threading.Lock()
        for control in (self.x, self.y, self.depth, self.centred):
            control.observe(self._draw, "value")
        self.image.observe(self._click, "point")
        self._draw()
        self.widget = ipywidgets.VBox([self.depth, self.image, self.x, self.y, self.centred])

    def similarity(self) -> np.ndarray:
        """Cosine (h, w) of the probed position's features with every position of the second frame."""
        first, second = (maps[self.depth.value][0] for maps in self.maps)
        if self.centred.value:
            mean = (first.mean((1, 2), True) + second.mean((1, 2), True)) / 2
            first, second = first - mean, second - mean
        height, width = self.frames[0].shape[:2]
        row, column = self.y.value * first.shape[1] // height, self.x.value * first.shape[2] // width
        return torch.cosine_similarity(first[:, row, column, None, None], second, dim=0).cpu().numpy()

    def picture(self) -> np.ndarray:
        """The first frame with the position, the second with its similarity; uint8 RGB, side by side."""
        left = self.frames[0].copy()
        cv2.drawMarker(left, (self.x.value, self.y.value), (255, 255, 255), cv2.MARKER_CROSS, 21, 4)
        cv2.drawMarker(left, (self.x.value, self.y.value), (200, 0, 0), cv2.MARKER_CROSS, 19, 2)
        limits = (0.0, 1.0)
        return np.hstack([left, with_scale(score_picture(self.similarity(), self.frames[1], limits), limits)])

    def _click(self, _change: object = None) -> None:
        x, y = self.image.point
        if x < self.frames[0].shape[1]:  # the other half is the frame that is searched
            self.x.value, self.y.value = x, y

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture())


class WarpBench:
    """One first-frame sample, by hand: turn, scale and blur the target over its inpainted background.

    Args:
        frame: uint8 RGB (H, W, 3).
        mask: (H, W), nonzero on the target.

    Attributes:
        angle, scale, shift, blur: sliders: degrees, factor, columns, pixels.
        image, widget: as in `Player`.
    """

    def __init__(self, frame: np.ndarray, mask: np.ndarray):
        self.pieces = cut_out(frame, mask)
        rows, columns = np.nonzero(mask)
        self._centre = float(columns.mean()), float(rows.mean())
        width = frame.shape[1]
        self.angle = ipywidgets.IntSlider(value=0, min=-90, max=90, description="angle")
        self.scale = ipywidgets.FloatLogSlider(value=1, min=-0.7, max=0.5, description="scale")
        self.shift = ipywidgets.IntSlider(value=0, min=-width // 2, max=width // 2, description="shift")
        self.blur = ipywidgets.FloatSlider(value=0, min=0, max=6, step=0.5, description="blur")
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * width))
        self._lock = threading.Lock()
        for slider in (self.angle, self.scale, self.shift, self.blur):
            slider.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.image, self.angle, self.scale, self.shift, self.blur])

    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """The image (H, W, 3) and its mask (H, W)."""
        warp = cv2.getRotationMatrix2D(self._centre, -self.angle.value, self.scale.value)
        warp[0, 2] += self.shift.value
        return paste(self.pieces, warp, self.blur.value)

    def picture(self) -> np.ndarray:
        """The background with its hole filled, and the sample with its label; uint8 RGB, side by side."""
        return np.hstack([self.pieces.background, overlay(*self.sample())])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture())


class BlobBench:
    """A false blob in D's score map: what does R make of it?

    Args:
        segmenter: with a refinement network.
        frame: uint8 RGB (H, W, 3).
        scores: (h, w), D's.
        features: the five maps of the frame.

    Attributes:
        x, y, radius: sliders: the blob's centre in pixels, its radius in cells of the score map.
        image, widget: as in `Player`.
    """

    def __init__(self, segmenter: Segmenter, frame: np.ndarray, scores: torch.Tensor, features: Sequence[torch.Tensor]):
        self.segmenter, self.frame, self.scores, self.features = segmenter, frame, scores, features
        height, width = frame.shape[:2]
        options = {"continuous_update": False}
        self.x = ipywidgets.IntSlider(value=width // 2, min=0, max=width - 1, description="x", **options)
        self.y = ipywidgets.IntSlider(value=height // 2, min=0, max=height - 1, description="y", **options)
        self.radius = ipywidgets.IntSlider(value=2, min=0, max=6, description="radius", **options)
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * width))
        self._lock = threading.Lock()
        for slider in (self.x, self.y, self.radius):
            slider.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.image, self.x, self.y, self.radius])

    def blob(self) -> np.ndarray:
        """The cells (h, w), bool, in which the score is set to 1; none at radius 0."""
        height, width = self.frame.shape[:2]
        h, w = self.scores.shape
        rows, columns = np.ogrid[:h, :w]
        far = np.hypot(rows + 0.5 - self.y.value * h / height, columns + 0.5 - self.x.value * w / width)
        return far < self.radius.value

    def _masks(self) -> tuple[torch.Tensor, np.ndarray]:
        changed = torch.where(torch.from_numpy(self.blob()).to(self.scores.device), 1.0, self.scores)
        logits = self.segmenter.logits(self.features, changed[None], self.frame.shape[:2])
        return changed, (logits[0] > 0).cpu().numpy()

    def survives(self) -> float:
        """The share of the blob's pixels that is labelled behind R."""
        blob = cv2.resize(self.blob().astype(np.uint8), self.frame.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        return float(self._masks()[1][blob].mean()) if blob.any() else 0.0

    def picture(self) -> np.ndarray:
        """The changed scores over the frame, and the mask behind R; uint8 RGB, side by side."""
        scores, mask = self._masks()
        left = with_scale(score_picture(scores.cpu().numpy(), self.frame))
        return np.hstack([left, overlay(self.frame, mask.astype(np.uint8))])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture())


class CurveReader:
    """J over frames, and behind each point its frame: the score map, and the mask's boundary as F sees it.

    Args:
        videos: name -> frames uint8 RGB (H, W, 3), predicted ids (H, W), true ids (H, W) and score maps (h, w), as many of
            each; object 1 is looked at.

    Attributes:
        video: dropdown; index: slider over frames.
        curves: name -> J of every frame.
        image, widget: as in `Player`.
    """

    def __init__(self, videos: dict[str, tuple[Sequence[np.ndarray], ...]]):
        self.videos = videos
        self.curves = {
            name: np.array([jaccard(p == 1, y == 1) for p, y in zip(labels, truth, strict=True)])
            for name, (_, labels, truth, _) in videos.items()
        }
        self.video = ipywidgets.Dropdown(options=list(videos), description="video")
        self.index = ipywidgets.IntSlider(min=0, max=1, description="scored")
        width = next(iter(videos.values()))[0][0].shape[1]
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * width))
        self._lock = threading.Lock()
        self.video.observe(self._open, "value")
        self.index.observe(self._draw, "value")
        self._open()
        self.widget = ipywidgets.VBox([self.video, self.image, self.index])

    def _open(self, _change: object = None) -> None:
        curve = self.curves[self.video.value]
        self.index.max = len(curve) - 1
        self.index.value = int(curve.argmin())  # the frame that one would ask about
        self._draw()

    def picture(self, name: str, index: int) -> np.ndarray:
        """Score map and boundaries of a frame, the curve below; uint8 RGB."""
        frames, labels, truth, scores = self.videos[name]
        frame = frames[index]
        above = np.hstack([with_scale(score_picture(scores[index], frame)),
                           boundary_picture(frame, labels[index] == 1, truth[index] == 1)])
        size = above.shape[0] // 2, above.shape[1]
        return np.vstack([above, chart(self.curves[name], index, size, f"scored frame {index + 1}, J", (0, 1))])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture(self.video.value, self.index.value))


class DepthBench:
    """R with depths of its features switched off: what does each add?

    A depth that is off is given as zeros. R was never trained so: what is seen is how far it relies on the depth, not
    how well it could do without.

    Args:
        segmenter: with a refinement network.
        frame: uint8 RGB (H, W, 3).
        scores: (h, w), D's.
        features: the five maps of the frame.
        truth: (H, W), nonzero on the target.

    Attributes:
        switches: four toggle buttons, conv2_x to conv5_x.
        note: J and F.
        image, widget: as in `Player`.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        frame: np.ndarray,
        scores: torch.Tensor,
        features: Sequence[torch.Tensor],
        truth: np.ndarray,
    ):
        self.segmenter, self.frame, self.scores, self.features, self.truth = segmenter, frame, scores, features, truth
        self.switches = [ipywidgets.ToggleButton(value=True, description=f"conv{d + 1}_x") for d in (1, 2, 3, 4)]
        self.note = ipywidgets.HTML()
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * frame.shape[1]))
        self._lock = threading.Lock()
        for switch in self.switches:
            switch.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([ipywidgets.HBox(self.switches), self.image, self.note])

    def mask(self) -> np.ndarray:
        """What R makes of the depths that are on: bool (H, W)."""
        on = [True, *(switch.value for switch in self.switches)]
        maps = [x if kept else torch.zeros_like(x) for x, kept in zip(self.features, on, strict=True)]
        return (self.segmenter.logits(maps, self.scores[None], self.frame.shape[:2])[0] > 0).cpu().numpy()

    def picture(self, mask: np.ndarray) -> np.ndarray:
        """The mask, and its boundary by `boundary_picture`; uint8 RGB, side by side."""
        return np.hstack([overlay(self.frame, mask.astype(np.uint8)), boundary_picture(self.frame, mask, self.truth)])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            mask = self.mask()
            self.note.value = f"J {jaccard(mask, self.truth):.2f}, F {boundary_f(mask, self.truth):.2f}"
            self.image.value = jpeg(self.picture(mask))


class TrainingView:
    """R while it is trained: one held-out frame, looked at again at every checkpoint; afterwards the slider goes back.

    An object of this class is what `vosedu.training.train` takes as `on_checkpoint`.

    Args:
        clips: held out.
        index: which of them; the frame is drawn from it by `seed`.

    Attributes:
        shot: the frame and its true mask.
        steps, losses, masks: of the checkpoints so far.
        index: slider over checkpoints.
        image, widget: as in `Player`.
    """

    def __init__(self, clips: Clips, index: int = 0, seed: int = 0):
        self.clips, self.clip, self.shot = clips, index, clips.draw(index, np.random.default_rng(seed))
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.masks: list[np.ndarray] = []
        self.index = ipywidgets.IntSlider(value=0, min=0, max=0, description="checkpoint")
        self.image = ipywidgets.Image(format="jpeg", width=min(860, 4 * self.shot.frame.shape[1]))
        self.image.value = jpeg(np.hstack([overlay(self.shot.frame, self.shot.mask)] * 2))
        self._lock = threading.Lock()
        self.index.observe(self._draw, "value")
        self.widget = ipywidgets.VBox([self.image, self.index])

    @torch.no_grad()
    def __call__(self, run: Training) -> None:
        """Look at the frame with R as it is now."""
        frame = torch.from_numpy(self.shot.frame[None, None])
        logits = run.logits(run.trained(), [(self.clips, self.clip)], frame)[0][0]
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(self.shot.mask).to(logits))
        self.steps.append(run.step)
        self.losses.append(loss.item())
        self.masks.append((logits > 0).cpu().numpy())
        self.index.max = len(self.steps) - 1
        self.index.value = self.index.max
        self._draw()

    def picture(self, index: int) -> np.ndarray:
        """The mask at a checkpoint, and the frame's loss over all of them; uint8 RGB, side by side."""
        left = cv2.resize(overlay(self.shot.frame, self.masks[index].astype(np.uint8)), None, fx=2, fy=2)
        return np.hstack([left, chart(np.array(self.losses), index, left.shape[:2], f"step {self.steps[index]}, loss")])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            if self.masks:
                self.image.value = jpeg(self.picture(self.index.value))

