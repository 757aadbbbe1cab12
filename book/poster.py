"""A poster of the whole method: Figure 2 of the paper with the maps of a real video in it, A1 on its side."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from vosedu import WHOLE, Segmenter, load_clip
from vosedu.features import TARGET_DEPTH
from vosedu.files.images import overlay
from vosedu.teaching.gauss_newton_cg import Microscope
from vosedu.teaching.pictures import SCORE_LIMITS, pca_colours, score_picture

SIZE = 33.1, 23.4
"""Inches: A1."""
SCENE, LATER = "tumble", 18
STEPS = 0, 1, 5, 45
"""Products with JᵀJ after which the first frame's score map is shown."""
COLOURS = {"F": "#4477aa", "D": "#228833", "R": "#aa3377", "": "#555555"}


class Maps(NamedTuple):
    """What stands in the poster, computed from a bundled scene; pictures are uint8 RGB."""

    given: np.ndarray
    samples: list[np.ndarray]
    learned: list[np.ndarray]
    losses: list[float]
    later: np.ndarray
    features: list[np.ndarray]
    scores: np.ndarray
    mask: np.ndarray


def maps() -> Maps:
    """Run the engine on the scene: the first frame learned, a later one predicted."""
    clip = load_clip(SCENE, short_side=240)
    frames, truth = clip.frames, clip.masks
    segmenter = Segmenter.from_pretrained("compact", config=WHOLE, device="cpu")
    samples = segmenter.first_frame(frames[0], truth[0])
    microscope = Microscope(frames[0], samples, WHOLE)
    video = segmenter.start(frames[0], truth[0])
    for frame in frames[1 : LATER + 1]:
        labels = video.step(frame).cpu().numpy()
    features = segmenter.features(frames[LATER][None])
    pictures = [overlay(image, (label > 0.5).astype(np.uint8))
                for image, label in zip(samples.images, np.asarray(samples.labels), strict=True)]
    return Maps(
        overlay(frames[0], truth[0]), pictures[:8], [score_picture(microscope.scores[k]) for k in STEPS],
        microscope.losses, frames[LATER], [pca_colours(x[0])[0] for x in features],
        score_picture(video.scores[0].cpu().numpy()), overlay(frames[LATER], labels),
    )


class Sheet:
    """A figure in inches from its lower left corner."""

    def __init__(self):
        self.figure = Figure(figsize=SIZE)
        self.paper = self.figure.add_axes((0, 0, 1, 1))
        self.paper.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]))
        self.paper.axis("off")

    def picture(self, picture: np.ndarray, x: float, y: float, width: float, label: str = "", colour: str = "") -> float:
        """A picture with its lower left corner at (x, y) and a label below; returns its height."""
        height = width * picture.shape[0] / picture.shape[1]
        ax = self.figure.add_axes((x / SIZE[0], y / SIZE[1], width / SIZE[0], height / SIZE[1]))
        ax.imshow(picture, interpolation="nearest", aspect="auto")
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(color=COLOURS[colour], linewidth=3)
        self.text(label, x + width / 2, y - 0.12, size=20, va="top", ha="center")
        return height

    def text(self, text: str, x: float, y: float, size: float = 24, **options: object) -> None:
        """Text at (x, y)."""
        self.paper.text(x, y, text, fontsize=size, **{"va": "center", "ha": "left", "color": "#1a1a1a", **options})

    def box(self, name: str, text: str, x: float, y: float, width: float, height: float) -> None:
        """A part of the method: its letter above a line of text."""
        shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.1", facecolor=COLOURS[name] + "22",
                               edgecolor=COLOURS[name], linewidth=4)
        self.paper.add_patch(shape)
        self.text(f"${name}$", x + width / 2, y + height * 0.64, size=64, ha="center", color=COLOURS[name])
        self.text(text, x + width / 2, y + height * 0.2, size=18, ha="center")

    def arrow(self, start: tuple[float, float], end: tuple[float, float], curve: float = 0.0, text: str = "") -> None:
        """An arrow, bent where `curve` is not 0, with a line of text at its middle."""
        self.paper.annotate("", end, start, arrowprops={
            "arrowstyle": "-|>,head_width=0.6,head_length=1.0", "linewidth": 4, "color": "#444444", "shrinkA": 0, "shrinkB": 0,
            "connectionstyle": f"arc3,rad={curve}"})
        if text:
            self.text(text, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.3, size=20, ha="center")


def _first_frame(sheet: Sheet, found: Maps) -> None:
    """The upper half: what is learned on the first frame."""
    sheet.text("On the first frame: D is learned", 1.0, 20.1, size=36, weight="bold")
    sheet.picture(found.given, 1.0, 15.6, 6.4, "the first frame and its mask: all that is given")
    for k, sample in enumerate(found.samples):
        sheet.picture(sample, 9.3 + 2.5 * (k % 4), 17.2 - 1.6 * (k // 4), 2.35)
    sheet.text("twenty samples made of it: cut out, filled, turned, scaled, blurred, pasted", 14.3, 15.3, size=20, ha="center")
    sheet.arrow((7.6, 17.3), (9.1, 17.3))
    sheet.arrow((19.5, 17.3), (20.9, 17.3), text="$F$")
    for k, (picture, step) in enumerate(zip(found.learned, STEPS, strict=True)):
        sheet.picture(picture, 21.2 + 2.8 * k, 17.3, 2.6, f"after {step}" if step else "random start", "D")
    ax = sheet.figure.add_axes((21.9 / SIZE[0], 14.6 / SIZE[1], 10.2 / SIZE[0], 1.75 / SIZE[1]))
    ax.semilogy(found.losses, "-", color=COLOURS["D"], linewidth=4)
    ax.semilogy(STEPS, [found.losses[k] for k in STEPS], "o", color="#1a1a1a", markersize=12)
    ax.set_xlabel("products with $J^\\mathsf{T}J$: five Gauss-Newton steps", fontsize=20)
    ax.set_ylabel("loss", fontsize=20)
    ax.tick_params(labelsize=14)
    ax.spines[["top", "right"]].set_visible(False)
    sheet.text("$L(\\mathbf{w}) = \\sum_k \\gamma_k \\, \\Vert \\mathbf{v}_k \\cdot (\\mathbf{y}_k - U\\mathbf{s}_k) \\Vert^2"
               " + \\sum_j \\lambda_j \\Vert \\mathbf{w}_j \\Vert^2$", 26.6, 20.1, size=32, ha="center")


def _later_frames(sheet: Sheet, found: Maps) -> None:
    """The lower half: a later frame through the three parts, and back into the memory."""
    sheet.text("On every later frame: F, D, R", 1.0, 12.4, size=36, weight="bold")
    sheet.picture(found.later, 1.0, 7.6, 5.6, f"frame {LATER}, $\\mathbf{{I}}$")
    sheet.box("F", "frozen", 7.9, 8.1, 1.8, 2.1)
    names = ("conv1", "conv2_x", "conv3_x", "conv4_x", "conv5_x")
    for k, (picture, name) in enumerate(zip(found.features, names, strict=True)):
        sheet.picture(picture, 11.0, 10.6 - 1.8 * k, 2.3, colour="D" if k == TARGET_DEPTH else "F")
        sheet.text(f"{name}, 1/{(4, 4, 8, 16, 32)[k]}", 13.45, 11.25 - 1.8 * k, size=18)
    sheet.text("$\\mathbf{x}^d$: five maps, three directions of each as red, green, blue", 12.6, 3.0, size=18, ha="center")
    sheet.box("D", "learned now", 16.6, 5.2, 2.2, 2.1)
    sheet.text("$\\mathbf{s} = \\mathbf{w}_2 * (\\mathbf{w}_1 * \\mathbf{x})$", 17.7, 4.5, size=26, ha="center")
    sheet.picture(found.scores, 20.2, 5.2, 3.9, "score map $\\mathbf{s}$, one cell 16 pixels", "D")
    sheet.box("R", "frozen", 24.9, 8.1, 1.8, 2.1)
    sheet.picture(found.mask, 27.5, 7.6, 4.9, "mask $\\hat{\\mathbf{y}} = R(\\mathbf{x}, \\mathbf{s})$", "R")
    sheet.arrow((6.7, 9.15), (7.75, 9.15))
    sheet.arrow((9.85, 9.15), (10.85, 9.15))
    sheet.arrow((15.4, 5.85), (16.4, 6.2))
    sheet.arrow((19.0, 6.25), (20.05, 6.25))
    sheet.arrow((24.2, 6.6), (25.5, 7.9), curve=0.2)
    sheet.arrow((15.5, 9.5), (24.7, 9.4), curve=-0.12)
    sheet.text("conv2_x to conv5_x: where the edges are", 20.1, 10.4, size=20, ha="center")
    sheet.arrow((26.85, 9.15), (27.4, 9.15))
    sheet.arrow((29.9, 6.9), (17.7, 3.9), curve=-0.28)
    sheet.text("every eighth frame $\\mathbf{w}_2$ is learned again, from a memory of samples with their own masks",
               24.6, 2.4, size=20, ha="center")


def draw_poster(out: Path, found: Maps | None = None) -> None:
    """Write poster.pdf and poster.png into a folder.

    Args:
        found: what stands in it; computed where left out, which takes a quarter of a minute.
    """
    found, sheet = found or maps(), Sheet()
    sheet.text("Discriminative online learning for fast video object segmentation", SIZE[0] / 2, 22.3, size=58, weight="bold",
               ha="center")
    sheet.text("One mask in, a video of masks out: two convolutions are learned while the video runs, all else before.",
               SIZE[0] / 2, 21.3, size=28, ha="center")
    _first_frame(sheet, found)
    _later_frames(sheet, found)
    bar = sheet.figure.add_axes((20.2 / SIZE[0], 7.65 / SIZE[1], 3.9 / SIZE[0], 0.22 / SIZE[1]))
    bar.imshow(score_picture(np.linspace(*SCORE_LIMITS, 256)[None]), aspect="auto", extent=(*SCORE_LIMITS, 0, 1))
    bar.set(yticks=[])
    bar.tick_params(labelsize=14, top=True, labeltop=True, bottom=False, labelbottom=False)
    sheet.text("Method: Robinson, Järemo Lawin, Danelljan, Shahbaz Khan, Felsberg 2019, arXiv:1904.08630. "
               f"Maps: vosedu, preset WHOLE, bundled scene \"{SCENE}\".", 1.0, 0.7, size=18)
    out.mkdir(parents=True, exist_ok=True)
    sheet.figure.savefig(out / "poster.pdf")
    sheet.figure.savefig(out / "poster.png", dpi=60)
