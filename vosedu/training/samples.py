"""What a training draws: the numbers of its recipe, its sources of data, and its samples (Section 3.3).

A sample is a sequence, of which D sees the reference frame, and a few of its other frames, on which the network is
trained. It depends on the seed and its number alone, so a run that was cut off goes on as if nothing had happened, and
several processes see together what one would see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from ..errors import InputError
from .shots import Clips, without_target


@dataclass(frozen=True)
class Recipe:
    """The numbers of Section 3.3; a run is resumed with the same ones only."""

    steps: int = 3000
    batch: int = 4
    """Samples per step, over all processes together."""
    frames: int = 2
    """Validation frames per sample."""
    rate: float = 1e-3
    """Adam's learning rate over the first two thirds of the steps (the paper: 120 of 180 epochs), a tenth of it after."""
    weight_decay: float = 1e-5
    height: int = 240
    """Rows of the frames; columns follow at 16:9, in multiples of 16."""
    seed: int = 0
    overlap: float = 0.0
    """Weight of 1 - soft J beside the cross-entropy; the paper has the cross-entropy alone."""
    references: int = 0
    """Most sequences of a source, evenly spread over it, for each costs a D of its own; 0: all."""
    frozen_norms: bool = False
    """Whether R's batch normalisation keeps the statistics that it began with."""
    absent: float = 0.0
    """Share of the samples in which one frame does not show the target (`without_target`), so that R learns to find nothing;
    the paper has none."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.height, round(self.height / 9) * 16

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0; the first 1 % of the steps rise to it."""
        warm = min(1.0, (step + 1) / max(1, self.steps // 100))
        return self.rate * warm * (1.0 if 3 * step < 2 * self.steps else 0.1)


class Source(NamedTuple):
    """A collection of sequences, and how often an epoch comes to it. Give every source of a run a weight, or none."""

    clips: Clips
    passes: int = 1
    """Without weights: times that an epoch goes through all sequences; the paper has DAVIS 2017 eight times and YouTube-VOS
    once."""
    weight: float | None = None
    """The share of every epoch that the source gets is its weight over the sum of all, however many sequences it has."""


class Samples(Dataset):
    """All samples of a run, by number.

    An epoch has as many samples as there are sequences, each counted as often as `Source.passes` says; or with weights, as
    many as there are sequences, divided among the sources by weight. Every epoch has an order of its own. Where a source's
    share is smaller than the source, epochs take turns through it.

    Args:
        sources: `Source`s, or tuples of the same.
        recipe: all numbers.

    Attributes:
        sources: likewise.
        counts: samples per epoch of each source.

    Raises:
        InputError: a source is empty, or some have weights and others do not.
    """

    def __init__(self, sources: Sequence[Source], recipe: Recipe):
        self.sources, self.recipe = [Source(*source) for source in sources], recipe
        if not self.sources or not all(len(source.clips) for source in self.sources):
            raise InputError("the training data, or a part of it, holds no object to learn from: check the folders")
        chosen = [_spread(len(source.clips), recipe.references) for source in self.sources]
        self.counts = _counts(self.sources, [len(places) for places in chosen])
        weighted = self.sources[0].weight is not None
        self._orders = [  # neighbours, such as the frames of one video, must not come together where a share is small
            np.random.default_rng((recipe.seed, 2, s)).permutation(places) if weighted else places
            for s, places in enumerate(chosen)
        ]

    @property
    def epoch(self) -> int:
        """Samples per epoch."""
        return sum(self.counts)

    @property
    def contents(self) -> list[list[int]]:
        """What a resumed run must find again: the sequences and the samples per epoch of each source."""
        return [[len(source.clips), count] for source, count in zip(self.sources, self.counts, strict=True)]

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.batch

    def entry(self, n: int) -> tuple[int, int]:
        """Source and sequence of sample n."""
        epoch, place = divmod(n, self.epoch)
        slot = int(np.random.default_rng((self.recipe.seed, epoch)).permutation(self.epoch)[place])
        source = 0
        while slot >= self.counts[source]:
            slot -= self.counts[source]
            source += 1
        turn = epoch * self.counts[source] + slot
        return source, int(self._orders[source][turn % len(self._orders[source])])

    def __getitem__(self, n: int) -> tuple[int, int, np.ndarray, np.ndarray]:
        """Sample n: source, sequence, frames uint8 (T, H, W, 3) and masks uint8 (T, H, W) with values as in `Shot`."""
        source, index = self.entry(n)
        rng = np.random.default_rng((self.recipe.seed, 1, n))
        clips = self.sources[source].clips
        shots = [clips.draw(index, rng) for _ in range(self.recipe.frames)]
        if self.recipe.absent and rng.random() < self.recipe.absent:
            shots[-1] = without_target(clips, index, rng)
        return source, index, np.stack([s.frame for s in shots]), np.stack([s.mask for s in shots])


def _spread(sequences: int, most: int) -> np.ndarray:
    """Which of so many sequences are used: evenly spread, `most` at most; 0: all."""
    return np.arange(sequences)[:: -(-sequences // most) if most else 1]


def _counts(sources: list[Source], sequences: list[int]) -> list[int]:
    """Samples per epoch of each source, of which so many sequences are used; see `Samples`."""
    weights = [source.weight for source in sources]
    if all(weight is None for weight in weights):
        return [source.passes * n for source, n in zip(sources, sequences, strict=True)]
    if None in weights:
        raise InputError("some sources of training data have weights and others have none: give all of them one, or none")
    if not all(0 < weight < float("inf") for weight in weights):
        raise InputError("a weight of training data is not positive: give numbers above 0")
    return [max(1, round(weight / sum(weights) * sum(sequences))) for weight in weights]
