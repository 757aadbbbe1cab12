"""Algorithm 1: the state of one video, advanced frame by frame; several objects and soft aggregation (Section 3.4)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .aggregation import aggregate, labels_at
from .augmentation import first_frame_samples
from .config import BEST, Config
from .cuda_graphs import Replayed
from .device import Stopwatch, pick_device
from .errors import InputError
from .features import TARGET_DEPTH, Backbone, fold_batchnorm
from .loss import NormalForm, normal_form, pixel_weights
from .memory import Memory, initial_gamma
from .refinement import Refinement
from .target_model import TargetModel, learn, update
from .weights import load_pretrained

READOUT = (10.0, -5.0)
"""Scale and offset before the sigmoid where none were learned: a score of one half is the threshold."""


class State(Protocol):
    """A video under way: what `Video` is, and whatever else is to be scored or shown beside it."""

    ids: list[int]
    """Permanent object ids, in the order in which they came."""
    frame_index: int
    """Frames stepped so far; 0 is the first frame."""

    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """The next frame, uint8 RGB (H, W, 3) -> ids, uint8 (H, W); objects of `new_labels` (H, W) enter there."""

    def enlarged(self, size: tuple[int, int], given: np.ndarray | None = None) -> np.ndarray:
        """The last answer at another size, uint8 (H, W) on the host; `given` overrules it where it is not 0."""


class Engine(Protocol):
    """What segments videos: a `Segmenter`, or a baseline."""

    def start(self, frame: np.ndarray, labels: np.ndarray, seed: int = 0) -> State:
        """The first frame, uint8 RGB (H, W, 3), and its ids (H, W) -> the state of its video."""


class FirstFrame(NamedTuple):
    """The first-frame samples of one object."""

    images: np.ndarray
    """uint8 RGB (K, H, W, 3), the frame itself first."""
    labels: Tensor
    """(K, H, W) in {0, 1}."""
    features: Tensor
    """(1, K, C, h·w), conv4_x."""
    size: tuple[int, int]
    """(h, w)."""

    def normal(self, config: Config) -> NormalForm:
        """Their losses as quadratics of the score maps, (1, K) in front."""
        v = pixel_weights(self.labels, config.target_share, config.share_rule, config.weight_power)
        return normal_form(self.labels[None], v[None], self.size)


class Segmenter:
    """Everything that stays the same from video to video: F, R, settings, device.

    Args:
        backbone: F.
        refinement: R; without it the score maps are read out as the paper's D-only does (Section 4.1).
        readout: scale and offset of that readout.
        config: all numbers.
        device: "auto", "cpu", "cuda", "mps".
        autocast: run F and R in bfloat16 (CUDA and CPU). The solver always works in float32.
    """

    def __init__(
        self,
        backbone: Backbone,
        refinement: Refinement | None = None,
        readout: tuple[float, float] | None = None,
        config: Config = BEST,
        device: str = "auto",
        autocast: bool = False,
    ):
        self.device = pick_device(device)
        if autocast and self.device.type == "mps":
            raise InputError("autocast is for CUDA and the CPU, and this is mps: leave --autocast away")
        layout = torch.channels_last if self.device.type in ("cpu", "cuda") else torch.contiguous_format
        self.backbone = fold_batchnorm(backbone).to(self.device, memory_format=layout)
        self.refinement = refinement and fold_batchnorm(refinement).to(self.device, memory_format=layout)
        self.readout = readout or READOUT
        self.config, self.autocast = config, autocast
        if autocast:  # convolutions are cast once, in place of in every frame
            for module in nn.ModuleList(filter(None, (self.backbone, self.refinement))).modules():
                if isinstance(module, nn.Conv2d):
                    module.to(torch.bfloat16)
        self.replayed: dict[str, Replayed] = {}
        if self.device.type == "cuda":
            self.replayed = {"F": Replayed(self._maps), "R": Replayed(self._refine)}

    @classmethod
    def from_pretrained(
        cls,
        name: str = "compact",
        weights: Sequence[Path | str] = (),
        config: Config = BEST,
        device: str = "auto",
        autocast: bool = False,
    ) -> "Segmenter":
        """A segmenter with trained weights: bundled for "compact", torchvision's for "resnet18" … "resnet101".

        Args:
            name: one of `vosedu.features.NAMES`.
            weights: files to take the backbone or the refinement network from.

        Raises:
            InputError: weights or device are missing or unusable.
        """
        chosen = pick_device(device)  # before weights are read: the cheaper complaint first
        return cls(*load_pretrained(name, [Path(w) for w in weights]), config, str(chosen), autocast)

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
        video, c = Video(self, tuple(state["size"].tolist()), int(state["seed"])), self.config
        video.ids, video.frame_index = state["ids"].tolist(), int(state["frame_index"])
        video.model = TargetModel(*(state[f"model.{name}"] for name in TargetModel.__dataclass_fields__))
        parts = {name.removeprefix("memory."): part for name, part in state.items() if name.startswith("memory.")}
        video.memory = Memory.from_state(parts, c.capacity, c.learning_rate, c.first_share)
        video._present = state.get("present")
        return video

    def first_frame(
        self, frame: np.ndarray, mask: np.ndarray, seed: int | tuple[int, ...] = 0, watch: "Stopwatch | None" = None
    ) -> "FirstFrame":
        """M_0 of one object (Section 3.1): augmented copies of the frame, their masks and conv4_x features.

        Args:
            frame: uint8 RGB (H, W, 3).
            mask: (H, W), nonzero on the object.
            seed: of the augmentation.
            watch: adds up the seconds.
        """
        watch = watch or Stopwatch(self.device)
        with watch("augmentation"):
            images, labels = first_frame_samples(frame, mask, self.config.samples, seed)
        with watch("first-frame features"), torch.inference_mode():
            maps = [self.features(batch)[TARGET_DEPTH] for batch in batches(images)]
            features = torch.cat(maps).flatten(2)[None].contiguous()
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

    # The networks are arguments, for a recording belongs to one, and a segmenter's may be exchanged.

    def _maps(self, images: Tensor, *, network: Backbone) -> tuple[Tensor, ...]:
        with self._precision():
            return tuple(x.float() for x in network(images.permute(0, 3, 1, 2).float() / 255))

    def _refine(self, scores: Tensor, *features: Tensor, network: Refinement, size: tuple[int, int]) -> tuple[Tensor]:
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
        model: D of all objects.
        memory: M of all objects.
        scores: (N, h, w) score maps of the last frame.
        probabilities: (N + 1, H, W) after aggregation, the background first.
        labels: uint8 (H, W), the last frame's answer, on the segmenter's device.
        stopwatch: seconds a stage.
    """

    def __init__(self, segmenter: Segmenter, size: tuple[int, int], seed: int = 0):
        self.segmenter, self.size, self.seed = segmenter, tuple(size), seed
        self.ids: list[int] = []
        self.frame_index = 0
        self.model: TargetModel | None = None
        self.memory: Memory | None = None
        self.scores = self.probabilities = self.labels = None
        self._present: Tensor | None = None  # (N,) bool: who was large enough in the last frame to be learned from
        self.stopwatch = Stopwatch(segmenter.device)

    @torch.inference_mode()
    def add(self, frame: np.ndarray, labels: np.ndarray) -> None:
        """Learn the objects of `labels` that are not known yet, from this frame (Section 3.1).

        Args:
            frame: uint8 RGB (H, W, 3).
            labels: (H, W) integers; ids known already are ignored.

        Raises:
            InputError: shapes do not fit, or the first frame shows no object.
        """
        labels = np.asarray(labels)
        if frame.shape != (*self.size, 3) or frame.dtype != np.uint8:
            raise InputError(f"a frame is {frame.dtype} {frame.shape}: give uint8 RGB of shape {(*self.size, 3)}")
        if labels.shape != self.size:
            raise InputError(f"the mask is {labels.shape}, the frame {self.size}: give a mask of the frame's size")
        new = [int(i) for i in np.unique(labels) if i != 0 and int(i) not in self.ids]
        if new and not 0 < min(new) <= max(new) <= 255:
            raise InputError(f"object ids run from {min(new)} to {max(new)}: use 1 to 255")
        if not new and not self.ids:
            raise InputError("the mask shows no object: give at least one nonzero id")
        for i in new:
            self._learn(frame, labels == i, i)
        if new and self.labels is None:
            self.labels = torch.from_numpy(labels.astype(np.uint8)).to(self.segmenter.device)
        elif new:
            fresh = torch.from_numpy(np.where(np.isin(labels, new), labels, 0).astype(np.uint8)).to(self.labels.device)
            self.labels = torch.where(fresh > 0, fresh, self.labels)

    def _learn(self, frame: np.ndarray, mask: np.ndarray, object_id: int) -> None:
        """First-frame optimisation of one object; its D and M join the others'."""
        config, watch = self.segmenter.config, self.stopwatch
        samples = self.segmenter.first_frame(frame, mask, (self.seed, object_id), watch)
        with watch("first-frame optimisation"):
            features, normal = samples.features, samples.normal(config)
            gamma = initial_gamma(1, config.samples, config.first_weight, features)
            model = learn(features, normal, gamma, config, seed=self.seed * 256 + object_id)
            memory = Memory(
                model.project(features), normal, gamma, config.capacity, config.learning_rate, config.first_share
            )
        if self.model is None:
            self.model, self.memory = model, memory
        else:
            self.model = self.model.append(model)
            self.memory.append(memory)
        self.ids.append(object_id)

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
        if frame.shape != (*self.size, 3) or frame.dtype != np.uint8:
            raise InputError(f"a frame is {frame.dtype} {frame.shape}: give uint8 RGB of shape {(*self.size, 3)}")
        config, watch = self.segmenter.config, self.stopwatch
        self.frame_index += 1
        with watch("features"):
            features = self.segmenter.features(frame[None])
        with watch("target model"):
            projected = self.model.project(features[TARGET_DEPTH][0])
            self.scores = self.model.scores(projected)
        with watch("refinement" if self.segmenter.refinement else "readout"):
            logits = self.segmenter.logits(features, self.scores, self.size)
        with watch("aggregation"):
            self.probabilities = aggregate(logits.sigmoid(), config.aggregation)
            self.labels = labels_at(self.probabilities, self.ids, self.size)
        known = len(self.ids)
        if new_labels is not None:
            self.add(frame, new_labels)
        if config.cg_update > 0:
            with watch("memory"):
                self._remember(projected, known)
            if self.frame_index % config.update_every == 0:
                with watch("update"):
                    self._update()
        return self.labels

    def state(self) -> dict[str, Tensor]:
        """All that later steps depend on besides the segmenter, copied to the CPU; `Segmenter.restore` takes it."""
        numbers = {"size": self.size, "seed": self.seed, "ids": self.ids, "frame_index": self.frame_index}
        parts = {name: torch.tensor(value) for name, value in numbers.items()}
        parts |= {f"model.{name}": getattr(self.model, name) for name in TargetModel.__dataclass_fields__}
        parts |= {f"memory.{name}": part for name, part in self.memory.state().items()}
        if self._present is not None:
            parts["present"] = self._present
        return {name: part.to("cpu", copy=True).contiguous() for name, part in parts.items()}

    def enlarged(self, size: tuple[int, int], given: np.ndarray | None = None) -> np.ndarray:
        """The last frame's answer at another size, on the host: uint8 (H, W).

        Args:
            size: (H, W), such as that of a video whose frames were shrunk before they came here.
            given: (H, W) ids that overrule it where they are not 0, such as those of objects that have just entered.
        """
        if size == self.size:
            found = self.labels.cpu().numpy()
        else:
            found = labels_at(self.probabilities, self.ids[: len(self.probabilities) - 1], size).cpu().numpy()
        return found if given is None else np.where(given > 0, given, found).astype(np.uint8)

    def _remember(self, projected: Tensor, known: int) -> None:
        """Extend M by this frame (Section 3.4); not by objects that are hardly there, or learned in this frame."""
        config = self.segmenter.config
        objects = len(self.ids)
        y = torch.stack([self.labels == i for i in self.ids]).float()  # a tensor of ids would make the host wait for the GPU
        valid = y.sum(dim=(1, 2)) >= config.min_pixels
        if objects > known:
            valid[known:].fill_(False)
            projected = torch.cat([projected, projected[:1].expand(objects - known, -1, -1, -1)])
        v = pixel_weights(y, config.target_share, config.share_rule, config.weight_power)
        self.memory.insert(projected.flatten(2), normal_form(y, v, projected.shape[-2:]), valid)
        self._present = valid

    def _update(self) -> None:
        """Re-learn w2 on M; an object that is hardly there keeps its own."""
        learned = update(self.model, *self.memory.samples(), self.segmenter.config)
        taps = torch.where(self._present[:, None, None], learned.taps, self.model.taps)
        self.model = TargetModel(self.model.projection, self.model.offset, taps)


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Chunks that keep F's activations small on a host with little memory: about four 480p frames."""
    count = max(1, int(4 * 480 * 854 / (images.shape[1] * images.shape[2])))
    for start in range(0, len(images), count):
        yield images[start : start + count]
