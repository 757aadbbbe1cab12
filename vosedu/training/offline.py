"""Offline training of R (Section 3.3): one reference frame and two validation frames a sample, D learned on the first
and kept, binary cross-entropy on the others, F frozen. One process, or several under torchrun.

A sample depends on the seed and its number alone, so a run that was cut off goes on as if nothing had happened, and
several processes see together what one would see.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..errors import InputError
from ..evaluation.metrics import jaccard
from ..features import TARGET_DEPTH, Backbone, resnet
from ..files.whole import sweep, write_bytes
from ..refinement import Refinement
from ..segmenter import Segmenter
from ..target_model import TargetModel
from .checkpoints import reading_checkpoint, serialise
from .clips import VOID, Clips
from .curves import COLUMNS, add_row, draw_curves
from .processes import share_batchnorm


@dataclass(frozen=True)
class Recipe:
    """The numbers of Section 3.3; a run is resumed with the same ones only."""

    steps: int = 3000
    batch: int = 4
    """Samples a step, over all processes together."""
    frames: int = 2
    """Validation frames a sample."""
    rate: float = 1e-3
    """Adam's learning rate over the first two thirds of the steps (the paper: 120 of 180 epochs), a tenth of it after."""
    weight_decay: float = 1e-5
    height: int = 240
    """Rows of the frames; columns follow at 16:9, in multiples of 16."""
    seed: int = 0
    overlap: float = 0.0
    """Weight of 1 - soft J beside the cross-entropy; the paper has the cross-entropy alone."""
    conv5: bool = False
    """Also train the backbone's conv5_x, which R alone reads, at `CONV5_RATE` times the rate; the paper freezes all of F."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.height, round(self.height / 9) * 16

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0; the first 1 % of the steps rise to it."""
        warm = min(1.0, (step + 1) / max(1, self.steps // 100))
        return self.rate * warm * (1.0 if 3 * step < 2 * self.steps else 0.1)


CONV5_RATE = 0.3
SMOOTH = 50.0
"""Pixels added to both areas of soft J, so that an object of a few pixels does not outweigh the others."""


def soft_jaccard(probabilities: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """J with probabilities in place of a mask, over known pixels: three times (N, H, W) -> (N,)."""
    probabilities, truth = (known * probabilities).flatten(1), (known * truth).flatten(1)
    both = (probabilities * truth).sum(1)
    return (both + SMOOTH) / (probabilities.sum(1) + truth.sum(1) - both + SMOOTH)


class WithConv5(nn.Module):
    """R behind a conv5_x that learns too; its batch normalisation keeps the statistics that it came with.

    Args:
        backbone: a ResNet's architecture is taken from it; parameters are random.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.conv5 = resnet(backbone.name).layer4.eval()
        self.refinement = Refinement(backbone.channels)

    def train(self, mode: bool = True) -> "WithConv5":
        """Training mode for R alone."""
        super().train(mode)
        self.conv5.eval()
        return self

    def forward(self, features: list[Tensor], scores: Tensor, size: tuple[int, int]) -> Tensor:
        """As `Refinement`, with x^5 from the present conv5_x."""
        return self.refinement([*features[:-1], self.conv5(features[-2])], scores, size)


class Samples(Dataset):
    """All samples of a run: sample n is a function of n.

    Args:
        sources: collections with the number of times that one epoch goes through each; the paper has DAVIS 2017 eight
            times and YouTube-VOS once.
    """

    def __init__(self, sources: list[tuple[Clips, int]], recipe: Recipe):
        self.sources, self.recipe = [clips for clips, _ in sources], recipe
        self.entries = [(s, i) for s, (clips, times) in enumerate(sources) for _ in range(times) for i in range(len(clips))]
        if not self.entries:
            raise InputError("the training data holds no sequence: give --stills, --davis, --ytvos or --rendered")

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.batch

    def entry(self, n: int) -> tuple[int, int]:
        """Source and sequence of sample n: a new order every epoch."""
        epoch, place = divmod(n, len(self.entries))
        return self.entries[np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.entries))[place]]

    def __getitem__(self, n: int) -> tuple[int, int, np.ndarray, np.ndarray]:
        source, index = self.entry(n)
        rng = np.random.default_rng((self.recipe.seed, 1, n))
        shots = [self.sources[source].draw(index, rng) for _ in range(self.recipe.frames)]
        return source, index, np.stack([s.frame for s in shots]), np.stack([s.mask for s in shots])


class TargetModels:
    """D of each sequence's reference frame: learned when first asked for, then kept in files (Section 3.3).

    Args:
        segmenter: its backbone and settings learn D.
        folder: of one file a sequence.
    """

    def __init__(self, segmenter: Segmenter, folder: Path):
        self.segmenter, self.folder = segmenter, folder

    def __call__(self, clips: Clips, index: int) -> TargetModel:
        path = self.folder / f"{clips.key(index)}.pt"
        device = self.segmenter.device
        if not path.exists():
            video = self.segmenter.start(*clips.reference(index))
            parts = {name: getattr(video.targets.model, name).cpu() for name in TargetModel.__dataclass_fields__}
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(path, serialise(parts))
        return TargetModel(**torch.load(path, map_location=device, weights_only=True))


class Training:
    """One run: R, its optimiser, and how far it has come. `vosedu.baselines` trains another network in R's place.

    Args:
        segmenter: gives F, the settings of D and the device; its own R is not used.
        sources: as `Samples` takes them.
        recipe: all numbers.
        out: folder of the checkpoint `training.pt`, of D's files and of the curves.
        start: parameters to begin with; those that it lacks are random.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        sources: list[tuple[Clips, int]],
        recipe: Recipe,
        out: Path,
        start: dict[str, Tensor] | None = None,
    ):
        self.segmenter, self.recipe, self.out, self.step = segmenter, recipe, out, 0
        self.rank, self.processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        if recipe.batch % self.processes:
            raise InputError(f"a batch of {recipe.batch} samples cannot be shared by {self.processes} processes: "
                             "give a multiple with --batch")
        if self.rank == 0:  # the others wait for this process below, before they write anything
            sweep(out)
            sweep(out / "targets")
        self.samples = Samples(sources, recipe)
        self.models = TargetModels(segmenter, out / "targets")
        torch.manual_seed(recipe.seed)
        self.network = self.build().to(segmenter.device, memory_format=torch.channels_last)
        if start is not None:
            self.network.load_state_dict({**self.network.state_dict(), **start})
        self.shared: nn.Module = self.network
        if self.processes > 1:
            self.shared = DistributedDataParallel(share_batchnorm(self.network))
        groups = {1.0: [], CONV5_RATE: []}
        for name, parameter in self.network.named_parameters():
            groups[CONV5_RATE if name.startswith("conv5.") else 1.0].append(parameter)
        self.optimiser = torch.optim.Adam(
            [{"params": parameters, "share": share} for share, parameters in groups.items() if parameters],
            lr=recipe.rate, weight_decay=recipe.weight_decay,
        )
        self.checkpoint = out / "training.pt"
        if self.checkpoint.exists():
            self._load()

    def _load(self) -> None:
        with reading_checkpoint(self.checkpoint):
            state = torch.load(self.checkpoint, map_location=self.segmenter.device, weights_only=True)
            state["network"], state["optimiser"], state["recipe"].keys(), int(state["step"])
        if state["recipe"] != asdict(self.recipe):
            k = next(k for k, v in asdict(self.recipe).items() if state["recipe"].get(k) != v)
            raise InputError(f"{self.checkpoint} was begun with {k} {state['recipe'].get(k)}, and this run has "
                             f"{getattr(self.recipe, k)}: use the same, or another --out")
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {"step": self.step, "recipe": asdict(self.recipe), "network": self.network.state_dict(),
                 "optimiser": self.optimiser.state_dict()}
        write_bytes(self.checkpoint, serialise(state))

    def build(self) -> nn.Module:
        """The network that is trained, with random parameters."""
        backbone = self.segmenter.backbone
        return WithConv5(backbone) if self.recipe.conv5 else Refinement(backbone.channels)

    @torch.no_grad()
    def features(self, frames: Tensor) -> list[Tensor]:
        """F on uint8 frames (B, T, H, W, 3): five maps with B·T in front."""
        return list(self.segmenter.maps(frames.to(self.segmenter.device).flatten(0, 1)))

    def logits(self, network: nn.Module, sequences: list[tuple[Clips, int]], frames: Tensor) -> tuple[Tensor, Tensor]:
        """What the network makes of frames (B, T, H, W, 3) of B sequences: logits (B·T, H, W) and D's scores (B·T, h, w)."""
        features = self.features(frames)
        each = features[TARGET_DEPTH].unflatten(0, frames.shape[:2])
        models = [self.models(clips, index) for clips, index in sequences]
        scores = torch.cat([m.scores(m.project(x)) for m, maps in zip(models, each, strict=True) for x in maps])
        return network(features, scores, tuple(frames.shape[2:4])), scores

    def losses(self, batch: tuple) -> Tensor:
        """Binary cross-entropy, averaged over frames and pixels, of a batch from `Samples`, and what `Recipe.overlap` adds."""
        sources, indices, frames, masks = batch
        sequences = [(self.samples.sources[s], int(i)) for s, i in zip(sources, indices, strict=True)]
        logits, _ = self.logits(self.shared, sequences, frames)
        masks = masks.to(logits.device).flatten(0, 1)
        truth, known = (masks == 1).to(logits.dtype), (masks != VOID).to(logits.dtype)
        loss = F.binary_cross_entropy_with_logits(logits, truth, known)
        if self.recipe.overlap:
            loss = loss + self.recipe.overlap * (1 - soft_jaccard(logits.sigmoid(), truth, known)).mean()
        return loss

    def train_step(self, batch: tuple) -> float:
        """One step of Adam; returns the loss before it, over all processes."""
        for group in self.optimiser.param_groups:
            group["lr"] = group.get("share", 1.0) * self.recipe.rate_at(self.step)
        self.shared.train()
        loss = self.losses(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.step += 1
        found = loss.detach()
        if self.processes > 1:
            dist.all_reduce(found, dist.ReduceOp.AVG if found.is_cuda else dist.ReduceOp.SUM)
            found = found if found.is_cuda else found / self.processes
        if not math.isfinite(found.item()):
            raise InputError(f"the loss of step {self.step} is not finite: lower --rate; {self.checkpoint} is as it was")
        return found.item()

    def batches(self, workers: int) -> DataLoader:
        """This process' part of every batch from the present step on."""
        if workers:
            cv2.setNumThreads(0)  # workers have hung on OpenCV's threads, which do not survive a fork
        numbers = [n for n in range(self.step * self.recipe.batch, len(self.samples)) if n % self.processes == self.rank]
        return DataLoader(self.samples, self.recipe.batch // self.processes, sampler=numbers, num_workers=workers)

    def trained(self) -> nn.Module:
        """The network as it is now, a copy with plain batch normalisation, for inference."""
        copied = self.build().to(self.segmenter.device)
        copied.load_state_dict(self.network.state_dict())
        return copied.eval().requires_grad_(False)

    @torch.no_grad()
    def validate(self, clips: Clips, shots: int = 4) -> tuple[float, float, float]:
        """Loss, J of the network and J of D alone (threshold 0.5; NaN without D) on `shots` frames of every sequence."""
        network, found = self.trained(), []
        for index in range(len(clips)):
            rng = np.random.default_rng(index)
            for _ in range(shots):
                shot = clips.draw(index, rng)
                logits, scores = self.logits(network, [(clips, index)], torch.from_numpy(shot.frame[None, None]))
                loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(shot.mask[None]).to(logits)).item()
                alone = math.nan
                if scores is not None:
                    coarse = F.interpolate(scores[:, None], shot.mask.shape, mode="bilinear")[0, 0]
                    alone = jaccard((coarse > 0.5).cpu().numpy(), shot.mask)
                found.append((loss, jaccard((logits[0] > 0).cpu().numpy(), shot.mask), alone))
        return tuple(np.mean(found, axis=0).tolist())


def train(
    run: Training,
    held_out: Clips,
    every: int = 100,
    workers: int = 0,
    bar: tqdm | None = None,
    on_checkpoint: Callable[[Training], None] = lambda run: None,
) -> nn.Module:
    """Train to the end of the recipe; every `every` steps a checkpoint, a line of `training.csv`, and `training.png`.

    Args:
        run: fresh, or resumed.
        held_out: clips that no training sample comes from.
        every: steps between checkpoints.
        workers: processes that prepare samples.
        bar: progress bar to move on.
        on_checkpoint: called before each checkpoint is written, in the first process.
    """
    table = run.out / "training.csv"
    losses, began = [], time.monotonic()
    if bar is not None:
        bar.update(run.step)
    for batch in run.batches(workers):
        losses.append(run.train_step(batch))
        if bar is not None:
            bar.update()
            bar.set_postfix_str(f"loss {np.mean(losses[-50:]):.4f}")
        if run.step % every and run.step != run.recipe.steps:
            continue
        if run.rank == 0:
            # The checkpoint comes last: a run killed before it writes all of these again, and none is ever missing.
            add_row(table, COLUMNS, [run.step, np.mean(losses), *run.validate(held_out), time.monotonic() - began])
            draw_curves(table, run.out / "training.png")
            on_checkpoint(run)
            run.save()
        losses = []
    return run.trained()
