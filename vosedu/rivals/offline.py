"""What the families need before any video: a propagation network, a scale and an offset for each, and an R for each.

All are learned from the same clips (`training.samples`), drawn in the same order: none is judged by another's R. A clip gives a
reference frame, from which a family learns as it does in a video, and others, which it scores.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ..beyond.nearest import covered
from ..config import Config
from ..features import TARGET_DEPTH
from ..protocols import Targets
from ..refinement import Refinement
from ..segmenter import READOUT, Segmenter
from ..target_model import FirstFrame
from ..training.offline import mask_loss, output
from ..training.samples import Samples
from .propagation import Propagator, deformed

OVERLAP = 1.0
"""Weight of 1 - soft J beside the cross-entropy where scale and offset are learned: with the cross-entropy alone, families that
are often wrong learn to answer with the background."""


class Lesson(NamedTuple):
    """A clip as the families see it."""

    number: int
    first: FirstFrame
    """Of the reference frame."""
    maps: tuple[Tensor, ...]
    """F on T other frames: five maps (T, C_d, h_d, w_d)."""
    masks: np.ndarray
    """uint8 (T, H, W), values as in `Shot`."""


def lessons(segmenter: Segmenter, samples: Samples, begin: int, count: int) -> Iterator[list[Lesson]]:
    """So many batches of clips, from batch `begin` on; the same ones for every family."""
    size = samples.recipe.batch
    for n in range(begin, begin + count):
        batch = []
        for number in range(n * size, (n + 1) * size):
            source, index, frames, masks = samples[number]
            shot = samples.sources[source].clips.reference(index)
            first = segmenter.first_frame(shot.frame, shot.mask, seed=(samples.recipe.seed, number))
            maps = tuple(x.clone() for x in segmenter.features(frames))
            clones = first._replace(features=first.features.clone(), labels=first.labels.clone())
            batch.append(Lesson(number, clones, maps, masks))
        yield batch


@torch.no_grad()
def scored(make: Callable[[Config], Targets], config: Config, lesson: Lesson) -> Tensor:
    """Scores (T, h, w) of a family that has learned from the reference frame alone. A family that is told where the object was
    in the frame before is told the true mask, deformed."""
    targets, found = make(config), []
    targets.learn(lesson.first, lesson.number)
    rng = np.random.default_rng(lesson.number)
    for x, mask in zip(lesson.maps[TARGET_DEPTH], lesson.masks, strict=True):
        parts = getattr(targets, "parts", {})
        if "previous" in parts:
            before = torch.from_numpy(deformed((mask == 1).astype(np.uint8), rng)[None]).to(x)
            parts["previous"] = covered(before, x.shape[-2:])
        found.append(targets.scores(x)[0])
    return torch.stack(found).clone()


def train_propagator(
    segmenter: Segmenter, samples: Samples, steps: int, rate: float = 2e-3, bar: tqdm | None = None
) -> Propagator:
    """The propagation network: Adam on the cross-entropy of its scores through D's readout, at a quarter of the rows."""
    torch.manual_seed(samples.recipe.seed)
    network = Propagator(segmenter.backbone.channels[TARGET_DEPTH]).to(segmenter.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    size = samples.recipe.batch
    for n in range(steps):
        losses = []
        for number in range(n * size, (n + 1) * size):
            source, index, frames, masks = samples[number]
            shot = samples.sources[source].clips.reference(index)
            every = segmenter.features(np.concatenate([shot.frame[None], frames]))[TARGET_DEPTH].clone()
            share = covered(torch.from_numpy(shot.mask[None]).to(every), every.shape[-2:])
            target = (every[:1] * share).sum(dim=(2, 3)) / share.sum().clamp_min(1e-3)
            rng = np.random.default_rng((number, 1))
            before = torch.from_numpy(np.stack([deformed((mask == 1).astype(np.uint8), rng) for mask in masks])).to(every)
            previous = covered(before, every.shape[-2:])
            scores = network(every[1:], target.expand(len(masks), -1), previous)
            losses.append(mask_loss(*coarse(READOUT[0] * scores + READOUT[1], torch.from_numpy(masks).to(every)), 0.5))
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()
        optimiser.step()
        schedule.step()
        if bar is not None:
            bar.update()
    return network.eval().requires_grad_(False)


def coarse(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (T, h, w) and masks (T, H, W), both at four times the resolution of the logits."""
    size = tuple(4 * n for n in logits.shape[-2:])
    return (F.interpolate(logits[:, None], size, mode="bilinear")[:, 0],
            F.interpolate(masks[:, None], size, mode="nearest")[:, 0])


def fitted(scores: Sequence[Tensor], masks: Sequence[Tensor], steps: int = 200) -> tuple[float, float]:
    """Scale and offset before the sigmoid for raw scores (T, h, w), by Adam on `mask_loss` with `OVERLAP`."""
    pairs = [coarse(s, m) for s, m in zip(scores, masks, strict=True)]
    s, m = torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs])
    inside, outside = s[m == 1].mean(), s[m == 0].mean()
    gap = (inside - outside).clamp_min(s.std() / 10 + 1e-6)  # a family that tells nothing apart still gets numbers
    scale = (10 / gap).item()  # scores of both kinds at logits of 5 and -5
    free = torch.tensor([0.0, 0.5], requires_grad=True)
    optimiser = torch.optim.Adam([free], lr=0.02)
    for _ in range(steps):
        centre = outside + free[1] * gap
        loss = mask_loss(scale * free[0].exp() * (s - centre), m, OVERLAP)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    scale *= free[0].exp().item()
    return scale, -scale * (outside + free[1] * gap).item()


def learn_readouts(
    segmenter: Segmenter, families: Mapping[str, Callable[[Config], Targets]], samples: Samples, count: int, bar: tqdm
) -> dict[str, tuple[float, float]]:
    """Scale and offset of every family, from so many batches."""
    found: dict[str, list[Tensor]] = {name: [] for name in families}
    masks = []
    for batch in lessons(segmenter, samples, 0, count):
        for lesson in batch:
            masks.append(torch.from_numpy(lesson.masks).float())
            for name, make in families.items():
                found[name].append(scored(make, segmenter.config, lesson).cpu())
        bar.update()
    return {name: fitted(scores, masks) for name, scores in found.items()}


def tune_refinements(
    segmenter: Segmenter, families: Mapping[str, Callable[[Config], Targets]], start: Refinement, samples: Samples, bar: tqdm
) -> dict[str, Refinement]:
    """An R for each family: from one R, by equally many steps of Adam on the same batches of clips, as `train` takes them.

    Args:
        families: `calibrated` ones.
        start: R with its batch normalisation, as `load_pretrained` gives it.
        samples: with the recipe.
    """
    recipe = samples.recipe
    nets = {name: copy.deepcopy(start).to(segmenter.device).requires_grad_(True).train(not recipe.frozen_norms)
            for name in families}
    optimisers = {name: torch.optim.Adam(net.parameters(), weight_decay=recipe.weight_decay) for name, net in nets.items()}
    for n, batch in enumerate(lessons(segmenter, samples, 0, recipe.steps)):
        maps = [torch.cat(part) for part in zip(*(lesson.maps for lesson in batch), strict=True)]
        masks = torch.from_numpy(np.concatenate([lesson.masks for lesson in batch])).to(segmenter.device)
        for name, make in families.items():
            scores = torch.cat([scored(make, segmenter.config, lesson) for lesson in batch])
            logits = output(segmenter, nets[name], maps, scores, tuple(masks.shape[1:]))
            loss = mask_loss(logits, masks, recipe.overlap)
            optimisers[name].param_groups[0]["lr"] = recipe.rate_at(n)
            optimisers[name].zero_grad(set_to_none=True)
            loss.backward()
            optimisers[name].step()
        bar.update()
    return {name: net.eval().requires_grad_(False) for name, net in nets.items()}
