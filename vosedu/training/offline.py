"""Offline training of R (Section 3.3): D is learned on the reference frame of each sequence and kept, F is frozen, and R
lowers the binary cross-entropy in other frames of the sequence. One process, or several under torchrun.

The other kinds of training (`kinds`) share the loop and say only what differs.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..beyond.nearest import WithNearest, with_nearest
from ..errors import InputError
from ..evaluation.metrics import jaccard
from ..features import TARGET_DEPTH, Backbone, architecture
from ..files.whole import sweep, write_bytes
from ..refinement import Refinement
from ..segmenter import Segmenter
from ..target_model import OnlineTargets, TargetModel
from .checkpoints import reading_checkpoint, save_weights, serialise
from .curves import COLUMNS, add_row, draw_curves
from .processes import mean_over_processes, place, share_batchnorm
from .samples import Recipe, Samples, Source
from .shots import VOID, Clips

SMOOTH = 50.0
"""Pixels added to both areas of soft J, so that an object of a few pixels does not outweigh the others."""


class Pretrained(NamedTuple):
    """What a training begins from: `vosedu.weights.load_pretrained`, its batch normalisation not folded away."""

    backbone: Backbone
    refinement: Refinement | None
    readout: tuple[float, float] | None

    @property
    def own_body(self) -> dict[str, nn.Module]:
        """The backbone's parameters as a part of a weights file; empty for ResNets, which torchvision has."""
        return {} if architecture(self.backbone.name).source == "torchvision" else {"backbone": self.backbone.body}


def soft_jaccard(probabilities: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """J with probabilities in place of a mask, over known pixels: three times (N, H, W) -> (N,)."""
    probabilities, truth = (known * probabilities).flatten(1), (known * truth).flatten(1)
    both = (probabilities * truth).sum(1)
    return (both + SMOOTH) / (probabilities.sum(1) + truth.sum(1) - both + SMOOTH)


def mask_loss(logits: Tensor, masks: Tensor, overlap: float = 0.0) -> Tensor:
    """Binary cross-entropy of logits (N, H, W) on masks (N, H, W), plus `overlap` times 1 - soft J.

    Both leave out pixels that are `VOID`; the cross-entropy is summed over the others, and divided by the number of all.
    """
    truth, known = (masks == 1).to(logits.dtype), (masks != VOID).to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits, truth, known)
    if overlap:
        loss = loss + overlap * (1 - soft_jaccard(logits.sigmoid(), truth, known)).mean()
    return loss


def score_jaccard(scores: Tensor, mask: np.ndarray) -> float:
    """J of D alone: of scores (1, h, w), enlarged and cut at one half, against a mask (H, W)."""
    coarse = F.interpolate(scores[:, None], mask.shape, mode="bilinear")[0, 0]
    return jaccard((coarse > 0.5).cpu().numpy(), mask)


def working_precision(segmenter: Segmenter) -> torch.autocast:
    """A context in which a network that is trained works in bfloat16 if the segmenter does."""
    return torch.autocast(segmenter.device.type, torch.bfloat16, enabled=segmenter.precision == "bfloat16")


def output(segmenter: Segmenter, network: nn.Module, *inputs: object) -> Tensor:
    """The output of a network that is trained, float32; see `working_precision`."""
    with working_precision(segmenter):
        return network(*inputs).float()


class TargetModels:
    """D of each sequence's reference frame: learned when first asked for, then kept in files (Section 3.3). Where the settings
    have remembered cells beside it (`beyond.nearest`), so has the file: R learns from what it will read.

    Args:
        segmenter: its backbone and settings learn D.
        folder: of one file per sequence.
    """

    def __init__(self, segmenter: Segmenter, folder: Path):
        self.segmenter, self.folder = segmenter, folder

    def __call__(self, clips: Clips, index: int) -> OnlineTargets:
        """Ready to score frames; there is no memory."""
        s, targets = self.segmenter, OnlineTargets(self.segmenter.config)
        found = with_nearest(targets, s.config, s.backbone.name, s.precision)
        cells = WithNearest.CELLS if found is not targets else ()
        path = self.folder / f"{clips.key(index)}{'-nearest' if cells else ''}.pt"
        if not path.exists():
            learned = s.start(*clips.reference(index)).targets
            parts = dict(vars(learned.model))
            parts |= {name: getattr(learned, name)[:, :1].clone() for name in cells}  # the frame once, not twice
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(path, serialise({name: part.cpu() for name, part in parts.items()}))
        parts = torch.load(path, map_location=s.device, weights_only=True)
        for name in cells:
            setattr(found, name, parts.pop(name))
        targets.model = TargetModel(**parts)
        return found


class Training:
    """Training of R: the network, its optimiser, and how far it has come. Subclasses train another network.

    Args:
        segmenter: gives F, the settings of D and the device; its own R is not used. In bfloat16, the network that is
            trained runs in it too; its parameters, the losses and all that is solved stay float32.
        sources: as `Samples` takes them.
        recipe: all numbers.
        out: folder of the checkpoint `training.pt`, of D's files and of the curves. Where it has a checkpoint, the run goes
            on from there.
        start: parameters to begin with; those that it lacks are random.

    Attributes:
        what: name of the network in messages.
        flag, help: of the command `train`, to choose this training; the one without a flag is chosen where none is given.
        suffix: what the name of the weights file has after the backbone's.

    Raises:
        InputError: a batch that the processes cannot share, or a checkpoint that is damaged or of another run.
    """

    what = "R"
    flag = ""
    help = ""
    suffix = ""

    def __init__(
        self,
        segmenter: Segmenter,
        sources: Sequence[Source],
        recipe: Recipe,
        out: Path,
        start: dict[str, Tensor] | None = None,
    ):
        self.segmenter, self.recipe, self.out, self.step = segmenter, recipe, out, 0
        self.rank, self.processes = place()
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
        self.network.load_state_dict({**self.network.state_dict(), **(start or {})})
        self.shared: nn.Module = self.network
        if self.processes > 1:
            self.shared = DistributedDataParallel(share_batchnorm(self.network))
        self.optimiser = self._optimiser()
        self.checkpoint = out / "training.pt"
        if self.checkpoint.exists():
            self._load()

    # What a kind of training is: subclasses replace what differs.

    @classmethod
    def check(cls, flags: Sequence[str], backbone: str) -> None:
        """Refuse what does not go together with this training.

        Args:
            flags: those given, of "fine-tune" and the `flag` of every kind of training.
            backbone: name of the backbone.

        Raises:
            InputError: something does not.
        """

    @classmethod
    def start(cls, pretrained: Pretrained, fine_tune: bool) -> dict[str, Tensor]:
        """The parameters to begin with, by their names in the network: R of the weights, or with `fine_tune` false none.

        Raises:
            InputError: there is no R in the weights.
        """
        if fine_tune and pretrained.refinement is None:
            raise InputError("--fine-tune needs weights that hold a refinement network: give them with --weights")
        return pretrained.refinement.state_dict() if fine_tune else {}

    def build(self) -> nn.Module:
        """The network that is trained, with random parameters."""
        return Refinement(self.segmenter.backbone.channels)

    def rate_share(self, parameter: str) -> float:
        """The learning rate of a parameter of the network, by its name, as a share of the recipe's."""
        return 1.0

    def parts(self, pretrained: Pretrained) -> dict[str, nn.Module]:
        """The networks for `save_weights`, as they are now."""
        return {**pretrained.own_body, "refinement": self.trained()}

    def write(self, path: Path, pretrained: Pretrained) -> None:
        """The weights file of what has been trained so far."""
        save_weights(path, pretrained.backbone.name, self.parts(pretrained), pretrained.readout,
                     recipe=f"vosedu train, step {self.step} of {self.recipe.steps}")

    def logits(self, network: nn.Module, sequences: list[tuple[Clips, int]], frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the network makes of frames (B, T, H, W, 3) of B sequences.

        Returns:
            Logits (B·T, H, W), and the scores that R reads (B·T, h, w) or None without D; float32.
        """
        features = self.features(frames)
        each = features[TARGET_DEPTH].unflatten(0, frames.shape[:2])
        targets = [self.models(clips, index) for clips, index in sequences]
        scores = torch.cat([known.scores(x) for known, maps in zip(targets, each, strict=True) for x in maps])
        return output(self.segmenter, network, features, scores, tuple(frames.shape[2:4])), scores

    # What all kinds share.

    @torch.no_grad()
    def features(self, frames: Tensor) -> list[Tensor]:
        """F on uint8 frames (B, T, H, W, 3): five maps with B·T in front."""
        return list(self.segmenter.maps(frames.to(self.segmenter.device).flatten(0, 1)))

    def losses(self, batch: tuple) -> Tensor:
        """`mask_loss` of a batch from `Samples`."""
        sources, indices, frames, masks = batch
        sequences = [(self.samples.sources[s].clips, int(i)) for s, i in zip(sources, indices, strict=True)]
        logits, _ = self.logits(self.shared, sequences, frames)
        return mask_loss(logits, masks.to(logits.device).flatten(0, 1), self.recipe.overlap)

    def train_step(self, batch: tuple) -> float:
        """One step of Adam; returns the loss before it, over all processes.

        Raises:
            InputError: the loss is not finite.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = group["share"] * self.recipe.rate_at(self.step)
        self.shared.train(not self.recipe.frozen_norms)
        loss = self.losses(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.step += 1
        found = mean_over_processes(loss.detach()).item()
        if not math.isfinite(found):
            raise InputError(f"the loss of step {self.step} is not finite: lower --rate; {self.checkpoint} is as it was")
        return found

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
        """Loss, J of the network and J of the scores alone (threshold 0.5; NaN without D), means over `shots` frames of every
        sequence."""
        network, found = self.trained(), []
        for index in range(len(clips)):
            rng = np.random.default_rng(index)
            for _ in range(shots):
                shot = clips.draw(index, rng)
                logits, scores = self.logits(network, [(clips, index)], torch.from_numpy(shot.frame[None, None]))
                loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(shot.mask[None]).to(logits)).item()
                alone = math.nan
                if scores is not None:
                    alone = score_jaccard(scores, shot.mask)
                found.append((loss, jaccard((logits[0] > 0).cpu().numpy(), shot.mask), alone))
        return tuple(np.mean(found, axis=0).tolist())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {"step": self.step, "what": self.what, "recipe": asdict(self.recipe), "data": self.samples.contents,
                 "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        write_bytes(self.checkpoint, serialise(state))

    def _load(self) -> None:
        """Go on from the checkpoint, if it is of the same kind, recipe and data."""
        with reading_checkpoint(self.checkpoint):
            state = torch.load(self.checkpoint, map_location=self.segmenter.device, weights_only=True)
            step, network, optimiser, recipe = int(state["step"]), state["network"], state["optimiser"], dict(state["recipe"])
        if state.get("what", self.what) != self.what:
            raise InputError(f"{self.checkpoint} is of a training of {state['what']}, and this one is of {self.what}: use "
                             "another --out")
        for field in fields(Recipe):
            mine, begun = getattr(self.recipe, field.name), recipe.get(field.name, field.default)
            if mine != begun:
                raise InputError(f"{self.checkpoint} was begun with {field.name} {begun}, and this run has {mine}: use the "
                                 "same, or another --out")
        if state.get("data", self.samples.contents) != self.samples.contents:
            raise InputError(f"{self.checkpoint} was begun with other data or other weights of it: use the same, or another "
                             "--out")
        with reading_checkpoint(self.checkpoint):
            self.network.load_state_dict(network)
            self.optimiser.load_state_dict(optimiser)
        self.step = step

    def _optimiser(self) -> torch.optim.Adam:
        """Adam, with the parameters grouped by their share of the learning rate, the greatest first."""
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            groups.setdefault(self.rate_share(name), []).append(parameter)
        ordered = [{"params": groups[share], "share": share} for share in sorted(groups, reverse=True)]
        return torch.optim.Adam(ordered, lr=self.recipe.rate, weight_decay=self.recipe.weight_decay)


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

    Returns:
        The trained network, for inference.
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
