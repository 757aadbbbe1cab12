"""What the notebooks show. The engine never imports this module.

Pictures travel as JPEG bytes into an `ipywidgets.Image`; no figure is drawn in a callback.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import colormaps

from . import datasets
from .augmentation import cut_out, paste
from .config import Config
from .doctor import machine, versions
from .evaluation import to_size
from .features import TARGET_DEPTH
from .memory import initial_gamma
from .metrics import boundary, near
from .segmenter import FirstFrame, Segmenter, pick_device
from .solver import Iterate, gauss_newton
from .target_model import NormalForm, TargetModel, WeightedSamples, first_frame_problem, learn, pixel_weights
from .video import FrameSource, overlay

VIEWS = ("all", "score map", "mask", "frame")


class Basis(NamedTuple):
    """What `pca_colours` draws with."""

    mean: torch.Tensor
    directions: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor


def setup(seed: int = 0) -> torch.device:
    """Seed NumPy and PyTorch, set the size of figures, print versions, device and seed; returns the device."""
    np.random.seed(seed)
    torch.manual_seed(seed)
    matplotlib.rcParams["figure.dpi"] = 80  # keeps a committed notebook small
    device = pick_device()
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"device: {machine(device)}; seed: {seed}")
    return device


def row(pictures: Sequence[np.ndarray], titles: Sequence[str], width: float = 13.0) -> None:
    """A static figure: pictures of one size side by side with titles, for the end of a cell."""
    height = width / len(pictures) * pictures[0].shape[0] / pictures[0].shape[1] + 0.4
    figure = plt.figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, len(pictures), squeeze=False)[0]
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        ax.imshow(picture)
        ax.set_title(title, fontsize=10)
        ax.axis("off")


def score_picture(scores: np.ndarray, frame: np.ndarray | None = None, limits: tuple[float, float] = (-0.5, 1.5)) -> np.ndarray:
    """A score map (h, w) as colours (viridis), uint8 RGB, blended over its frame (H, W, 3) where one is given.

    Args:
        limits: scores at the ends of the colour table; the same over all frames of a video, so that colours compare.
    """
    low, high = limits
    level = np.clip((scores - low) / (high - low), 0, 1)
    if frame is not None:
        level = cv2.resize(level.astype(np.float32), frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    table = (colormaps["viridis"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    colours = table[(level * 255).astype(np.uint8)]
    return colours if frame is None else cv2.addWeighted(frame, 0.35, colours, 0.65, 0)


def jpeg(picture: np.ndarray) -> bytes:
    """uint8 RGB (H, W, 3) as JPEG bytes for an `ipywidgets.Image`."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def parts_picture(frame: np.ndarray, colours: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Figure 2 of one frame: frame, features of conv4_x, score map and mask in reading order; uint8 RGB (2 H, 2 W, 3).

    Args:
        frame: uint8 RGB (H, W, 3).
        colours: features as `pca_colours` draws them, (h, w, 3).
        scores: (h, w), one position 16 pixels.
        labels: ids (H, W).
    """
    size = frame.shape[1::-1]
    score = cv2.resize(score_picture(scores), size, interpolation=cv2.INTER_NEAREST)
    parts = [frame, cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST), score, overlay(frame, labels)]
    parts[0] = frame.copy()
    for part, text in zip(parts, ("I", "x = F(I)", "s = D(x)", "y = R(x, s)"), strict=True):
        for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            cv2.putText(part, text, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, width, cv2.LINE_AA)
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


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
        ipywidgets.jslink((play, "value"), (self.index, "value"))
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
        return score_picture(self.scores[index], frame) if view == "score map" else frame

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
            source = FrameSource(scene.frames, max_height=self.height)
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

    Attributes:
        index: slider over frames.
        image, widget: as in `Player`.
    """

    SIZE = 250, 860
    """Rows and columns of the picture."""

    def __init__(self, pictures: Sequence[np.ndarray], gammas: np.ndarray):
        self.pictures, self.gammas = pictures, np.asarray(gammas)
        last = len(self.gammas) - 1
        self.index = ipywidgets.IntSlider(value=last, min=0, max=last, description="frame")
        play = ipywidgets.Play(min=0, max=last, interval=200)
        ipywidgets.jslink((play, "value"), (self.index, "value"))
        self.image = ipywidgets.Image(format="jpeg", width=self.SIZE[1])
        self._lock = threading.Lock()
        self.index.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.image, ipywidgets.HBox([play, self.index])])

    def picture(self, index: int) -> np.ndarray:
        """The strip after a frame: uint8 RGB, oldest sample first, row by row."""
        height, width = self.SIZE
        shape = self.pictures[0].shape
        # the largest of all frames' weights fills a third of the height; two thirds of the area are enough for all
        scale = height / 3 / np.sqrt(self.gammas.max())
        out, x, y, tallest = np.full((height, width, 3), 255, np.uint8), 2, 2, 0
        for picture, gamma in zip(self.pictures, self.gammas[index], strict=True):
            rows = round(scale * np.sqrt(gamma))
            columns = round(rows * shape[1] / shape[0])
            if rows < 2:
                continue
            if x + columns > width:
                x, y, tallest = 2, y + tallest + 2, 0
            if y + rows > height:
                break
            out[y : y + rows, x : x + columns] = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
            x, tallest = x + columns + 2, max(tallest, rows)
        return out

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture(self.index.value))


def chart(values: np.ndarray, marker: int, size: tuple[int, int], title: str) -> np.ndarray:
    """A curve over its index on a logarithmic axis, one point marked; uint8 RGB (H, W, 3). Drawn in a millisecond."""
    height, width = size
    picture = np.full((height, width, 3), 255, np.uint8)
    logs = np.log10(np.maximum(values, 1e-12))
    low, high = logs.min(), max(logs.max(), logs.min() + 1e-6)
    x = 12 + (width - 24) * np.arange(len(values)) / max(1, len(values) - 1)
    y = 28 + (height - 40) * (1 - (logs - low) / (high - low))
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(picture, [points], False, (60, 60, 60), 2, cv2.LINE_AA)
    cv2.circle(picture, tuple(points[marker].tolist()), 6, (214, 39, 40), -1, cv2.LINE_AA)
    text = f"{title} {values[marker]:.3g}"
    return cv2.putText(picture, text, (12, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)


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
        left = score_picture(self.scores[index], self.frame)
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
        note: the target's share of the loss, and the seconds that learning took.
        image, widget: as in `Player`.
    """

    def __init__(self, frames: list[np.ndarray], samples: FirstFrame, features: torch.Tensor, config: Config):
        self.frames, self.samples, self.features, self.config = frames, samples, features, config
        options = {"continuous_update": False}
        self.share = ipywidgets.FloatLogSlider(value=config.target_share, min=-3, max=-0.1, description="kappa_min", **options)
        decay = float(np.log10(config.projection_decay))
        self.decay = ipywidgets.FloatSlider(value=decay, min=-4, max=6, step=0.5, description="log10 lambda", **options)
        self.shift = ipywidgets.IntSlider(value=0, min=-96, max=96, step=16, description="shift", **options)
        self.note = ipywidgets.HTML()
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * frames[0].shape[1]))
        self._lock = threading.Lock()
        for slider in (self.share, self.decay, self.shift):
            slider.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.image, self.note, self.share, self.decay, self.shift])

    @torch.inference_mode()
    def learn(self) -> tuple[TargetModel, float]:
        """D by the sliders, and the target's share of the squared weights."""
        decay = 10**self.decay.value
        config = replace(self.config, target_share=self.share.value, projection_decay=decay, filter_decay=decay)
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
        return np.hstack([score_picture(s, frame) for s, frame in zip(scores, self.frames, strict=True)])

    @torch.inference_mode()
    def _draw(self, _change: object = None) -> None:
        with self._lock:
            began = time.perf_counter()
            model, share = self.learn()
            took = time.perf_counter() - began
            self.note.value = f"target's share of the loss {share:.2f}; learned in {took:.2f} s"
            self.image.value = jpeg(self.picture(model))


def pca_colours(features: torch.Tensor, basis: Basis | None = None) -> tuple[np.ndarray, Basis]:
    """A feature map as colours: its three principal components as red, green and blue.

    Args:
        features: (C, h, w).
        basis: of another map, for colours that compare; its own where left out.

    Returns:
        uint8 RGB (h, w, 3), and the basis.
    """
    flat = features.flatten(1).T.float()
    if basis is None:
        mean = flat.mean(dim=0)
        directions = torch.linalg.svd(flat - mean, full_matrices=False)[2][:3].T
        found = (flat - mean) @ directions
        basis = Basis(mean, directions, found.quantile(0.02, dim=0), found.quantile(0.98, dim=0))
    found = ((flat - basis.mean) @ basis.directions - basis.low) / (basis.high - basis.low).clamp_min(1e-6)
    colours = (found.clamp(0, 1) * 255).byte().view(*features.shape[1:], 3)
    return colours.cpu().numpy(), basis


class Probe:
    """Where does another frame resemble one position of the first? Cosine of features, at a depth.

    Args:
        frames: two frames, uint8 RGB (H, W, 3).
        maps: the five maps (1, C_d, h_d, w_d) of each.

    Attributes:
        x, y: sliders, the position in pixels.
        depth: toggle of the depth, 1 to 4.
        image, widget: as in `Player`.
    """

    def __init__(self, frames: Sequence[np.ndarray], maps: Sequence[Sequence[torch.Tensor]]):
        self.frames, self.maps = frames, maps
        height, width = frames[0].shape[:2]
        self.x = ipywidgets.IntSlider(value=width // 4, min=0, max=width - 1, description="x")
        self.y = ipywidgets.IntSlider(value=height // 4, min=0, max=height - 1, description="y")
        options = [("conv2_x", 1), ("conv3_x", 2), ("conv4_x", 3), ("conv5_x", 4)]
        self.depth = ipywidgets.ToggleButtons(options=options, value=3)
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * width))
        self._lock = threading.Lock()
        for control in (self.x, self.y, self.depth):
            control.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.depth, self.image, self.x, self.y])

    def similarity(self) -> np.ndarray:
        """Cosine (h, w) of the probed position's features with every position of the second frame."""
        first, second = (maps[self.depth.value][0] for maps in self.maps)
        height, width = self.frames[0].shape[:2]
        row, column = self.y.value * first.shape[1] // height, self.x.value * first.shape[2] // width
        return torch.cosine_similarity(first[:, row, column, None, None], second, dim=0).cpu().numpy()

    def picture(self) -> np.ndarray:
        """The first frame with the position, the second with its similarity; uint8 RGB, side by side."""
        left = self.frames[0].copy()
        cv2.drawMarker(left, (self.x.value, self.y.value), (255, 255, 255), cv2.MARKER_CROSS, 21, 4)
        cv2.drawMarker(left, (self.x.value, self.y.value), (200, 0, 0), cv2.MARKER_CROSS, 19, 2)
        return np.hstack([left, score_picture(self.similarity(), self.frames[1], (0.0, 1.0))])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture())


def boundary_picture(frame: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What F counts: boundary of the prediction in green where it is within tolerance of the true one, else magenta;
    true boundary that is not found in white. uint8 RGB (H, W, 3), the frame darkened."""
    picture = (0.45 * frame).astype(np.uint8)
    found, wanted = boundary(prediction), boundary(truth)
    missed, hit, false = wanted & ~near(wanted, found), found & near(found, wanted), found & ~near(found, wanted)
    for edge, colour in ((missed, (255, 255, 255)), (hit, (60, 220, 90)), (false, (255, 60, 220))):
        picture[cv2.dilate(edge.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = colour
    return picture


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
        self.image = ipywidgets.Image(format="jpeg", width=min(640, 2 * width))
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

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(overlay(*self.sample()))


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
        return np.hstack([score_picture(scores.cpu().numpy(), self.frame), overlay(self.frame, mask.astype(np.uint8))])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture())
