"""Algorithm 1: the state of one video, advanced frame by frame (Section 3.4).

A `Segmenter` is everything that stays the same from video to video; a `Video` is everything that changes during one.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .aggregation import answer, laid_over
from .augmentation import first_frame_samples
from .config import BEST, Config
from .cuda_graphs import Replayed
from .device import Stopwatch, pick_device
from .errors import InputError
from .features import TARGET_DEPTH, Backbone, fold_batchnorm
from .files.images import resized, to_size, working_size
from .target_model import FirstFrame, OnlineTargets
from .weights import load_pretrained

READOUT = (10.0, -5.0)
"""Scale and offset before the sigmoid where none were learned: a score of one half is the threshold."""


class Targets(Protocol):
    """A way to learn what is asked for: the target models of the objects of one video.

    Made from a `Config` when the video starts. `target_model.OnlineTargets` is the paper's.
    """

    def learn(self, samples: FirstFrame, seed: int) -> None:
        """One more object, from its first-frame samples."""

    def scores(self, features: Tensor) -> Tensor:
        """Score maps (N, h, w) of a frame's conv4_x features (C, h, w): about 1 on the object, 0 elsewhere."""

    def remember(self, masks: Tensor) -> None:
        """The answer for the frame that was scored last: (N, H, W) in {0, 1}, the objects learned since then included."""

    def update(self) -> None:
        """Learn from what is remembered; called every t_s-th frame."""

    def state(self) -> dict[str, Tensor]:
        """All that later frames depend on."""

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`."""


class Refiner(Protocol):
    """A network in R's place."""

    def __call__(self, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int]) -> Tensor:
        """Five maps (1, C_d, h_d, w_d) of a frame and scores (N, h, w) -> logits (N, H, W), H and W as in `size`."""


class State(Protocol):
    """A video under way: what `Video` is, and whatever else is to be scored or shown beside it."""

    ids: list[int]
    """Permanent object ids, in the order in which they came."""
    frame_index: int
    """Frames stepped so far; 0 is the first frame."""

    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """The next frame, uint8 RGB (H, W, 3) -> ids, uint8 (H, W); objects of `new_labels` (H, W) enter there."""


class Engine(Protocol):
    """What segments videos: a `Segmenter`, or a baseline."""

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (h, w) at which frames of `size` (H, W) are worked on."""

    def start(self, frame: np.ndarray, labels: np.ndarray, seed: int = 0) -> State:
        """The first frame, uint8 RGB (H, W, 3), and its ids (H, W) -> the state of its video."""


class Segmenter:
    """Everything that stays the same from video to video: F, R, settings, device. It is not changed after it is made:
    `changed` gives another one.

    Example, where `frame` is the first frame, `mask` its object ids and `following` the next frame:

        segmenter = Segmenter.from_pretrained("compact", short_side=360)
        video = segmenter.start(frame, mask)
        labels = video.step(following)

    Args:
        backbone: F.
        refinement: R, or a network in its place; without it the score maps are read out as the paper's D-only does
            (Section 4.1).
        readout: scale and offset of that readout.
        config: all numbers.
        device: "auto", "cpu", "cuda", "mps".
        autocast: run F and R in bfloat16 (CUDA and CPU). The solver always works in float32.
        short_side: frames are brought to so many pixels on their shorter side before F sees them, keeping their shape; 0: as
            they are. Long narrow ones are enlarged only until the longer side has 16/9 of that. Answers always have the
            video's own size.
        targets: makes what is learned online.
    """

    def __init__(
        self,
        backbone: Backbone,
        refinement: Refiner | None = None,
        readout: tuple[float, float] | None = None,
        config: Config = BEST,
        device: str = "auto",
        autocast: bool = False,
        short_side: int = 0,
        targets: Callable[[Config], Targets] = OnlineTargets,
    ):
        self.device = pick_device(device)
        if autocast and self.device.type == "mps":
            raise InputError("autocast is for CUDA and the CPU, and this is mps: leave --autocast away")
        self.config, self.autocast, self.short_side, self.targets = config, autocast, short_side, targets
        self.backbone, self.refinement = self._placed(backbone), refinement and self._placed(refinement)
        self.readout = readout or READOUT
        self.replayed: dict[str, Replayed] = {}
        if self.device.type == "cuda":
            self.replayed = {"F": Replayed(self._maps), "R": Replayed(self._refine)}

    def _placed(self, network: nn.Module) -> nn.Module:
        """F or a network in R's place on the device, ready for inference; batch normalisation is folded away."""
        layout = torch.channels_last if self.device.type in ("cpu", "cuda") else torch.contiguous_format
        network = fold_batchnorm(network).to(self.device, memory_format=layout)
        if self.autocast:  # convolutions are cast once, in place of in every frame
            for module in network.modules():
                if isinstance(module, nn.Conv2d):
                    module.to(torch.bfloat16)
        return network

    @classmethod
    def from_pretrained(
        cls,
        name: str = "compact",
        weights: Sequence[Path | str] = (),
        config: Config = BEST,
        device: str = "auto",
        autocast: bool = False,
        short_side: int = 0,
    ) -> "Segmenter":
        """A segmenter with trained weights: bundled for "compact", torchvision's for "resnet18" … "resnet101".

        Args:
            name: one of `vosedu.features.BACKBONES`.
            weights: files to take the backbone or the refinement network from.

        Raises:
            InputError: weights or device are missing or unusable.
        """
        chosen = pick_device(device)  # before weights are read: the cheaper complaint first
        return cls(*load_pretrained(name, [Path(w) for w in weights]), config, str(chosen), autocast, short_side)

    def changed(self, **parts: object) -> "Segmenter":
        """The same segmenter with other parts; this one stays as it is.

        Args:
            parts: of the constructor's: config, refinement (None: D alone), readout, short_side, targets.

        Raises:
            TypeError: another part, which would need another segmenter.
        """
        if unknown := set(parts) - {"config", "refinement", "readout", "short_side", "targets"}:
            raise TypeError(f"a segmenter cannot be given another {', '.join(sorted(unknown))}: make a new one")
        other = copy.copy(self)
        if parts.get("refinement") is not None:
            parts["refinement"] = self._placed(parts["refinement"])
        vars(other).update(parts)
        return other

    def without_graphs(self) -> "Segmenter":
        """The same segmenter, launching every kernel of F and R by itself also on CUDA."""
        other = copy.copy(self)
        other.replayed = {}
        return other

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (h, w) at which frames of `size` (H, W) are worked on."""
        return working_size(size, self.short_side)

    def start(self, frame: np.ndarray, labels: np.ndarray, seed: int = 0) -> "Video":
        """Learn every object of the first frame and return the state of its video.

        Args:
            frame: uint8 RGB (H, W, 3).
            labels: (H, W) integers, 0 the background, others object ids up to 255.
            seed: of augmentation and of D's start.

        Raises:
            InputError: shapes do not fit or there is no object.
        """
        video = Video(self, frame.shape[:2], seed)
        video.add(frame, labels)
        return video

    def restore(self, state: dict[str, Tensor]) -> "Video":
        """The video whose `Video.state()` was taken: its next step gives the same bits, on the same device and threads.

        Its `labels`, `scores` and `probabilities` come with that step.
        """
        state = {name: part.to(self.device) for name, part in state.items()}
        video = Video(self, tuple(state["size"].tolist()), int(state["seed"]))
        video.ids, video.frame_index = state["ids"].tolist(), int(state["frame_index"])
        video.targets.load({name.removeprefix("targets."): part for name, part in state.items() if name.startswith("targets.")})
        return video

    def first_frame(
        self, frame: np.ndarray, mask: np.ndarray, seed: int | tuple[int, ...] = 0, watch: Stopwatch | None = None
    ) -> FirstFrame:
        """M_0 of one object (Section 3.1): augmented copies of the frame, their masks and conv4_x features.

        Args:
            frame: uint8 RGB (H, W, 3), taken as it is.
            mask: (H, W), nonzero on the object.
            seed: of the augmentation.
            watch: adds up the seconds.
        """
        watch = watch or Stopwatch(self.device)
        watch.begin()
        images, labels = first_frame_samples(frame, mask, self.config.samples, seed)
        watch.lap("augmentation")
        with torch.inference_mode():
            maps = [self.features(batch)[TARGET_DEPTH] for batch in batches(images)]
            features = torch.cat(maps).flatten(2)[None].contiguous()
        watch.lap("first-frame features")
        return FirstFrame(images, torch.from_numpy(labels).to(features), features, tuple(maps[0].shape[-2:]))

    def features(self, images: np.ndarray) -> tuple[Tensor, ...]:
        """F on uint8 RGB images (B, H, W, 3): five float32 maps."""
        batch = torch.from_numpy(np.ascontiguousarray(images))
        if self.device.type == "cuda":
            batch = batch.pin_memory()  # else the copy would wait for what the GPU is still computing
        batch = batch.to(self.device, non_blocking=True)
        with torch.inference_mode():
            return (self.replayed.get("F", self._maps) if len(batch) == 1 else self._maps)(batch, network=self.backbone)

    def logits(self, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int]) -> Tensor:
        """R, or the D-only readout: (N, H, W) logits from one image's maps and (N, h, w) scores."""
        with torch.inference_mode():
            if self.refinement is None:
                scale, offset = self.readout
                up = F.interpolate(scores[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
                return scale * up + offset
            refine = self.replayed.get("R", self._refine)
            return refine(scores, *features, network=self.refinement, size=tuple(size))[0]

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """`features` of uint8 images (B, H, W, 3) that are on the device already."""
        return self._maps(images, network=self.backbone)

    # The networks are arguments, for a recording belongs to one, and segmenters that differ in R share their recordings.

    def _maps(self, images: Tensor, *, network: Backbone) -> tuple[Tensor, ...]:
        with self._precision():
            return tuple(x.float() for x in network(images.permute(0, 3, 1, 2).float() / 255))

    def _refine(self, scores: Tensor, *features: Tensor, network: Refiner, size: tuple[int, int]) -> tuple[Tensor]:
        with self._precision():
            return (network(features, scores, size).float(),)

    def _precision(self):
        # parameters are in bfloat16 already, and casts that were kept would not outlive a recording
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast, cache_enabled=False)

    @property
    def graphs(self) -> str:
        """Whether F and R are replayed as CUDA graphs, in words."""
        refused = next((r.refused for r in self.replayed.values() if r.refused), "" if self.replayed else "no CUDA device")
        return f"off: {refused}" if refused else "on"


class Video:
    """The state of one video: D and M of each object, and what the last frame gave. Made by `Segmenter.start`.

    Attributes:
        ids: permanent object ids; position n in any batch of objects belongs to ids[n].
        frame_index: frames stepped so far; 0 is the first frame.
        size, working_size: (H, W) of the frames that come, (h, w) at which they are worked on.
        config: the segmenter's when the video started.
        targets: D and M of all objects.
        scores: (N, h / 16, w / 16) score maps of the last frame.
        probabilities: (N + 1, h, w) after aggregation, the background first.
        labels: uint8 (H, W), the last frame's answer, on the segmenter's device.
        stopwatch: seconds per stage.
    """

    def __init__(self, segmenter: Segmenter, size: tuple[int, int], seed: int = 0):
        self.segmenter, self.size, self.seed, self.config = segmenter, tuple(size), seed, segmenter.config
        self.working_size = segmenter.working_size(self.size)
        self.ids: list[int] = []
        self.frame_index = 0
        self.targets = segmenter.targets(self.config)
        self.scores = self.probabilities = self.labels = None
        self.stopwatch = Stopwatch(segmenter.device)

    def _small(self, frame: np.ndarray) -> np.ndarray:
        """The frame at the working size.

        Raises:
            InputError: it has another size or type than the video.
        """
        if frame.shape != (*self.size, 3) or frame.dtype != np.uint8:
            raise InputError(f"a frame is {frame.dtype} {frame.shape}: give uint8 RGB of shape {(*self.size, 3)}")
        return resized(frame, self.working_size)

    @torch.inference_mode()
    def add(self, frame: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Learn the objects of `labels` that are not known yet, from this frame (Section 3.1).

        Args:
            frame: uint8 RGB (H, W, 3).
            labels: (H, W) integers; ids known already are ignored.

        Returns:
            uint8 (h, w), the ids that were learned, at the working size.

        Raises:
            InputError: shapes do not fit, or the first frame shows no object.
        """
        small, labels = self._small(frame), np.asarray(labels)
        if labels.shape != self.size:
            raise InputError(f"the mask is {labels.shape}, the frame {self.size}: give a mask of the frame's size")
        fresh = np.where(np.isin(labels, self.ids), 0, labels)
        if fresh.min() < 0 or fresh.max() > 255:
            raise InputError(f"object ids run from {fresh.min()} to {fresh.max()}: use 1 to 255")
        small_labels = to_size(fresh.astype(np.uint8), self.working_size)
        new = [int(i) for i in np.unique(small_labels) if i]
        if not new and not self.ids:
            raise InputError("the mask shows no object: give at least one nonzero id")
        for i in new:
            samples = self.segmenter.first_frame(small, small_labels == i, (self.seed, i), self.stopwatch)
            self.targets.learn(samples, self.seed * 256 + i)
            self.stopwatch.lap("first-frame optimisation")
            self.ids.append(i)
        before = torch.zeros(self.size, dtype=torch.uint8, device=self.segmenter.device) if self.labels is None else self.labels
        self.labels = laid_over(before, fresh)
        return small_labels

    @torch.inference_mode()
    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """One turn of Algorithm 1's loop.

        Args:
            frame: the next frame, uint8 RGB (H, W, 3).
            new_labels: (H, W), given where objects enter: their ids are learned from this frame and overrule the
                prediction there.

        Returns:
            uint8 (H, W) object ids, 0 the background, on the segmenter's device.

        Raises:
            InputError: the frame has another size or type.
        """
        small, config, watch = self._small(frame), self.config, self.stopwatch
        self.frame_index += 1
        watch.begin()
        features = self.segmenter.features(small[None])
        watch.lap("features")
        self.scores = self.targets.scores(features[TARGET_DEPTH][0])
        watch.lap("target model")
        logits = self.segmenter.logits(features, self.scores, self.working_size)
        watch.lap("refinement" if self.segmenter.refinement else "readout")
        self.probabilities, labels, self.labels = answer(logits, self.ids, self.size, config.aggregation)
        watch.lap("aggregation")
        if new_labels is not None:
            labels = laid_over(labels, self.add(frame, new_labels))
            watch.begin()
        if config.cg_update > 0:
            # one comparison per object: a tensor of ids would make the host wait for the GPU
            self.targets.remember(torch.stack([labels == i for i in self.ids]).float())
            watch.lap("memory")
            if self.frame_index % config.update_every == 0:
                self.targets.update()
                watch.lap("update")
        return self.labels

    def state(self) -> dict[str, Tensor]:
        """All that later steps depend on besides the segmenter, copied to the CPU; `Segmenter.restore` takes it."""
        numbers = {"size": self.size, "seed": self.seed, "ids": self.ids, "frame_index": self.frame_index}
        parts = {name: torch.tensor(value) for name, value in numbers.items()}
        parts |= {f"targets.{name}": part for name, part in self.targets.state().items()}
        return {name: part.to("cpu", copy=True).contiguous() for name, part in parts.items()}


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Chunks that keep F's activations small on a host with little memory: about four 480p frames."""
    count = max(1, int(4 * 480 * 854 / (images.shape[1] * images.shape[2])))
    for start in range(0, len(images), count):
        yield images[start : start + count]
