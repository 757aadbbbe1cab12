"""Which settings make the target model generalise? D alone on warped still images, first frame only.

    python benchmarks/stills.py --root COCO200 --backbone mobilenet_v2 --weights TEACHER.pt [--images 40]

A photograph with an object mask is the first frame. Three test frames are made from it: the object under a stronger
warp than any first-frame sample has, over a warped background with an object of another photograph pasted in, colours
changed. Settings are chosen here, never on DAVIS. Prints the mean J at threshold 0.5 of each variant of the presets.
"""

import argparse
import math
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from vosedu import BEST, PAPER, Config, augmentation
from vosedu.evaluation import metrics
from vosedu.features import TARGET_DEPTH, fold_batchnorm
from vosedu.files.images import read_image
from vosedu.loss import normal_form, pixel_weights
from vosedu.memory import initial_gamma
from vosedu.target_model import learn
from vosedu.training.stills import annotated_stills
from vosedu.weights import load_pretrained

VARIANTS = {
    "PAPER": PAPER,
    "start x 0.1": replace(PAPER, start_scale=0.1),
    "unit RMS": replace(PAPER, conditioning="scale"),
    "unit RMS, start x 0.1": replace(PAPER, conditioning="scale", start_scale=0.1),
    "whitened": replace(PAPER, conditioning="whiten"),
    "whitened, start x 0.1": replace(PAPER, conditioning="whiten", start_scale=0.1),
    "BEST": BEST,
    "BEST, whitened": replace(BEST, conditioning="whiten"),
    "BEST, v as printed": replace(BEST, weight_power="printed"),
}


def strong_warp(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Like `augmentation.random_warp`, twice as far."""
    centre = np.argwhere(mask).mean(axis=0)[::-1]
    angle, scale = rng.uniform(-0.8, 0.8), math.exp(rng.uniform(-1, 1) * math.log(1.8))
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.array([[rng.choice([-1, 1]), rng.uniform(-0.35, 0.35)], [0, 1]])
    shift = rng.uniform(-0.3, 0.3, 2) * mask.shape[::-1]
    return np.hstack([linear, (centre + shift - linear @ centre)[:, None]])


def test_frame(pieces: augmentation.Pieces, other: tuple[np.ndarray, np.ndarray] | None, rng: np.random.Generator):
    """One test frame and its mask, as the module's docstring says."""
    height, width = pieces.mask.shape
    scale, centre = rng.uniform(1.05, 1.35), np.array([width / 2, height / 2])
    move = np.hstack([scale * np.eye(2), ((1 - scale) * centre + rng.uniform(-0.1, 0.1, 2) * centre)[:, None]])
    ground = cv2.warpAffine(pieces.background, move, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    if other is not None:
        foreign = augmentation.Pieces(ground, other[0].astype(np.float32), other[1])
        ground, _ = augmentation.paste(foreign, augmentation.random_warp(other[1], rng), 0)
    for _ in range(50):
        warp, blur = strong_warp(pieces.mask, rng), rng.uniform(0, 2.5)
        image, label = augmentation.paste(pieces._replace(background=ground), warp, blur)
        if label.sum() > 0.4 * pieces.mask.sum():
            break
    colours = (image - 128.0) * math.exp(rng.normal(0, 0.2)) + 128 + rng.normal(0, 15) + rng.normal(0, 8, 3)
    return np.clip(colours, 0, 255).astype(np.uint8), label


def prepare(root: Path, backbone: torch.nn.Module, images: int) -> list[dict]:
    """Features and labels of 20 first-frame samples and three test frames for each photograph."""
    photographs = [(read_image(path), masks) for path, masks in annotated_stills(root)]
    found = []
    for number, (image, masks) in enumerate(photographs[:images]):
        rng = np.random.default_rng(number)
        mask = masks[rng.integers(len(masks))]
        samples, labels = augmentation.first_frame_samples(image, mask, 20, number)
        pieces, tests = augmentation.cut_out(image, mask), []
        for _ in range(3):
            there, theirs = photographs[rng.integers(len(photographs))]
            size = mask.shape[::-1]
            other = cv2.resize(there, size), cv2.resize(theirs[0], size, interpolation=cv2.INTER_NEAREST)
            tests.append(test_frame(pieces, other if other[1].any() else None, rng))
        pictures = torch.from_numpy(np.concatenate([samples, np.stack([t[0] for t in tests])])).permute(0, 3, 1, 2)
        maps = torch.cat([backbone(batch.float() / 255)[TARGET_DEPTH] for batch in pictures.split(4)])
        found.append({"samples": maps[:20], "labels": torch.from_numpy(labels).float(), "tests": maps[20:],
                      "truth": [t[1] for t in tests]})
    return found


def predict(items: list[dict], config: Config) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """Upsampled scores (H, W) of D, learned on the first frame alone, and the true mask, for every test frame."""
    for item in items:
        x, y = item["samples"], item["labels"]
        v = pixel_weights(y, config.target_share, config.share_rule, config.weight_power)
        normal = normal_form(y[None], v[None], x.shape[-2:])
        model = learn(x.flatten(2)[None], normal, initial_gamma(1, len(x), config.first_weight, x), config)
        for features, truth in zip(item["tests"], item["truth"], strict=True):
            scores = model.scores(model.project(features))[None]
            yield torch.nn.functional.interpolate(scores, truth.shape, mode="bilinear")[0, 0], truth


def score(items: list[dict], config: Config, threshold: float = 0.5) -> float:
    """Mean J of D alone over all test frames."""
    return float(np.mean([metrics.jaccard((s > threshold).numpy(), truth) for s, truth in predict(items, config)]))


@torch.inference_mode(False)
def fit_readout(items: list[dict], config: Config) -> tuple[float, float]:
    """Scale and offset before the sigmoid that minimise the cross-entropy of all test pixels (Section 4.1, D-only)."""
    pairs = [(s[::4, ::4].flatten().clone(), torch.from_numpy(t[::4, ::4].copy()).flatten()) for s, t in predict(items, config)]
    scores, truth = torch.cat([s for s, _ in pairs]), torch.cat([t for _, t in pairs]).float()
    readout = torch.tensor([10.0, -5.0], requires_grad=True)
    optimiser = torch.optim.LBFGS([readout], max_iter=50)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(readout[0] * scores + readout[1], truth)
        loss.backward()
        return loss

    optimiser.step(closure)
    return tuple(round(v, 2) for v in readout.tolist())


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="folder with images/ and YOLO polygons in labels/")
    parser.add_argument("--backbone", default="compact")
    parser.add_argument("--weights", type=Path, action="append", default=[])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--fit-readout", action="store_true", help="learn the D-only readout on half of the images, score "
                        "the other half with it and with threshold 0.5")
    args = parser.parse_args()
    backbone, _, _ = load_pretrained(args.backbone, args.weights)
    items = prepare(args.root, fold_batchnorm(backbone), args.images)
    print(f"{args.backbone}, {len(items)} images, torch {torch.__version__}, {platform.machine()}")
    if args.fit_readout:
        scale, offset = fit_readout(items[::2], BEST)
        print(f"readout {scale} s + {offset}: threshold {-offset / scale:.3f}; on the other half J "
              f"{score(items[1::2], BEST, -offset / scale):.3f}, with threshold 0.5 {score(items[1::2], BEST):.3f}")
        return
    for name, config in VARIANTS.items():
        print(f"{name:24} J {score(items, config):.3f}", flush=True)


if __name__ == "__main__":
    main()
