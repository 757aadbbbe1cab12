"""Algorithm 1: the state of one video, advanced frame by frame (Section 3.4).

A `Segmenter` is everything that stays the same from video to video; a `Video` is everything that changes during one.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .aggregation import answer, laid_over
from .augmentation import first_frame_samples
from .beyond.corrections import corrected
from .beyond.cuda_graphs import Replayed
from .beyond.first_pass import FirstPass
from .beyond.leaps import without_leaps
from .beyond.nearest import with_nearest
from .beyond.precision import pick_precision
from .beyond.window import Windows
from .config import BEST, Config
from .device import Stopwatch, pick_device
from .errors import InputError
from .features import TARGET_DEPTH, Backbone, fold_batchnorm
from .files.images import to_size, working_size
from .protocols import Refiner, Targets
from .refinement import Refinement
from .target_model import FirstFrame, OnlineTargets
from .weights import load_pretrained, weights_file

READOUT = (10.0, -5.0)
"""Scale and offset before the sigmoid where none were learned: a score of one half is the threshold."""


class Segmenter:
    """Everything that stays the same from video to video: F, R, settings, device. It is not changed after it is made:
    `changed` gives another one.

    Example, where `frame` is the first frame, `mask` its object ids and `following` the next frame:

        segmenter = Segmenter.from_pretrained("compact", short_side=432)
        video = segmenter.start(frame, mask)
        labels = video.step(following)

    Args:
        backbone: F.
        refinement: R, or a network in its place; without it the score maps are read out as the paper's D-only does
            (Section 4.1).
        readout: scale and offset of that readout.
        config: all numbers.
        device: "auto", "cpu", "cuda", "mps".
        precision: of F and R: "float32", "bfloat16", or "auto", the faster here. The solver always works in float32.
        short_side: frames are brought to so many pixels on their shorter side before F sees them, both sides to multiples of
            16 (`working_size`); 0: as they are. Long narrow ones are enlarged only until the longer side has 16/9 of that.
            Answers always have the video's own size.
        targets: makes what is learned online.
    """

    def __init__(
        self,
        backbone: Backbone,
        refinement: Refiner | None = None,
        readout: tuple[float, float] | None = None,
        config: Config = BEST,
        device: str = "auto",
        precision: str = "float32",
        short_side: int = 0,
        targets: Callable[[Config], Targets] = OnlineTargets,
    ):
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self.config, self.short_side, self.targets = config, short_side, targets
        self.backbone, self.refinement = self._placed(backbone), refinement and self._placed(refinement)
        self.readout = readout or READOUT
        self.first_pass = FirstPass(self.backbone)
        self.replayed: dict[str, Replayed] = {}
        if self.device.type == "cuda":
            self.replayed = {"F": Replayed(self._maps), "R": Replayed(self._refine)}

    def _placed(self, network: nn.Module) -> nn.Module:
        """F or a network in R's place on the device, ready for inference; batch normalisation is folded away."""
        layout = torch.channels_last if self.device.type in ("cpu", "cuda") else torch.contiguous_format
        network = fold_batchnorm(network).to(self.device, memory_format=layout)
        if self.precision == "bfloat16":  # convolutions are cast once, in place of in every frame
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
        precision: str = "float32",
        short_side: int = 0,
    ) -> "Segmenter":
        """A segmenter with trained weights: bundled for "compact", torchvision's for "resnet18" … "resnet101".

        Args:
            name: one of `vosedu.features.BACKBONES`.
            weights: files to take the backbone or the refinement network from, or names of `vosedu.weights.NAMED`.

        Raises:
            InputError: weights or device are missing or unusable.
        """
        chosen = pick_device(device)  # before weights are read: the cheaper complaints first
        precision = pick_precision(precision, chosen)
        return cls(*load_pretrained(name, [weights_file(w) for w in weights]), config, str(chosen), precision, short_side)

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
        """The video whose `Video.state()` was taken: its next step gives the same bits, on the same device and threads."""
        windows = state["windows"]  # of double precision, which not every device has
        state = {name: part.to(self.device) for name, part in state.items() if name != "windows"}
        video = Video(self, tuple(state["size"].tolist()), int(state["seed"]))
        video.ids, video.frame_index, video.labels = state["ids"].tolist(), int(state["frame_index"]), state["labels"]
        video.windows.load(windows)
        video.targets.load({name.removeprefix("targets."): part for name, part in state.items() if name.startswith("targets.")})
        return video

    def first_frame(self, frame: np.ndarray, mask: np.ndarray, count: int = 0, seed: int | tuple[int, ...] = 0,
                    watch: Stopwatch | None = None) -> FirstFrame:
        """M_0 of one object (Section 3.1): augmented copies of the frame, their masks and conv4_x features.

        Args:
            frame: uint8 RGB (H, W, 3), taken as it is.
            mask: (H, W), nonzero on the object.
            count: of the samples; 0: as many as the config says.
            seed: of the augmentation.
            watch: adds up the seconds.
        """
        watch = watch or Stopwatch(self.device)
        watch.begin()
        images, labels = first_frame_samples(frame, mask, count or self.config.samples, seed)
        watch.lap("augmentation")
        with torch.inference_mode(), self._precision():
            maps = self.first_pass(images, self.device)
        watch.lap("first-frame features")
        return FirstFrame(images, torch.from_numpy(labels).to(maps), maps.flatten(2)[None].contiguous(), tuple(maps.shape[-2:]))

    def features(self, images: np.ndarray) -> tuple[Tensor, ...]:
        """F on uint8 RGB images (B, H, W, 3): five float32 maps."""
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        with torch.inference_mode():
            return (self.replayed.get("F", self._maps) if len(batch) == 1 else self._maps)(batch, network=self.backbone)

    def logits(self, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int],
               closely: Callable[..., Tensor] | None = None) -> Tensor:
        """R, or the D-only readout: (N, H, W) logits from one image's maps and (N, h, w) scores. On a CPU `closely` asks R."""
        with torch.inference_mode():
            # a GPU does all objects at once, and would wait for what changes its size
            if closely and self.device.type == "cpu" and not self.replayed and isinstance(self.refinement, Refinement):
                with self._precision():
                    return closely(self.refinement, features, scores, tuple(size)).float()
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
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16", cache_enabled=False)

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
        windows: where each object is looked for; the whole frame unless `config.window_share` is given.
        seen: (N, h / 16, w / 16) score maps of the last frame, as they look through the windows.
        probabilities: (N + 1, h, w) after aggregation, the background first; (N + 1, H, W) where there are windows.
        labels: uint8 (H, W), the last frame's answer, on the segmenter's device.
        stopwatch: seconds per stage.
    """

    def __init__(self, segmenter: Segmenter, size: tuple[int, int], seed: int = 0):
        self.segmenter, self.size, self.seed, self.config = segmenter, tuple(size), seed, segmenter.config
        self.working_size = segmenter.working_size(self.size)
        self.ids: list[int] = []
        self.frame_index = 0
        c = self.config
        self.targets = with_nearest(segmenter.targets(c), c, segmenter.backbone.name, segmenter.precision)
        self.windows = Windows(self.size, self.working_size, c.window_share, c.window_zoom, c.window_room, c.window_joint)
        self.seen = self.probabilities = self.labels = None
        self.stopwatch = Stopwatch(segmenter.device)

    @property
    def scores(self) -> Tensor | None:
        """(N, h / 16, w / 16) score maps of the last frame, over the whole of it; 0 outside an object's window."""
        if self.seen is None or self.windows.whole:
            return self.seen
        return self.windows.spread(self.seen, tuple(self.seen.shape[1:]), 0.0)

    @torch.inference_mode()
    def add(self, frame: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Learn the objects of `labels` that are not known yet, from this frame (Section 3.1).

        Args:
            frame: uint8 RGB (H, W, 3).
            labels: (H, W) integers; ids known already are ignored.

        Returns:
            uint8 (H, W), the ids that are new.

        Raises:
            InputError: shapes do not fit, or the first frame shows no object.
        """
        self._check(frame)
        labels = np.asarray(labels)
        if labels.shape != self.size:
            raise InputError(f"the mask is {labels.shape}, the frame {self.size}: give a mask of the frame's size")
        new = np.where(np.isin(labels, self.ids), 0, labels)
        if new.min() < 0 or new.max() > 255:
            raise InputError(f"object ids run from {new.min()} to {new.max()}: use 1 to 255")
        new = new.astype(np.uint8)
        for i in (int(i) for i in np.unique(new) if i):
            if seen := self.windows.first(frame, new == i):
                self.targets.learn(self._samples(seen, i), self.seed * 256 + i)
                self.stopwatch.lap("first-frame optimisation")
                self.ids.append(i)
        if not self.ids:
            raise InputError("the mask shows no object: give at least one nonzero id")
        before = torch.zeros(self.size, dtype=torch.uint8, device=self.segmenter.device) if self.labels is None else self.labels
        self.labels = laid_over(before, new)
        return new

    def _samples(self, seen: list[tuple[np.ndarray, np.ndarray]], object_id: int) -> FirstFrame:
        """M_0 of an object: of what is seen of it through its window and, a quarter, in the whole frame."""
        count, seed = self.config.samples, (self.seed, object_id)
        parts = [count] if len(seen) == 1 else [count - count // 4, count // 4]
        found = [self.segmenter.first_frame(*view, n, seed, self.stopwatch) for view, n in zip(seen, parts, strict=True) if n]
        return found[0] if len(found) == 1 else FirstFrame.joined(found)

    @torch.inference_mode()
    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """One turn of Algorithm 1's loop.

        Args:
            frame: the next frame, uint8 RGB (H, W, 3).
            new_labels: (H, W), given where objects enter: their ids are learned from this frame and overrule the
                prediction there. Objects that are known already are corrected: they are where it shows them, and nowhere else.

        Returns:
            uint8 (H, W) object ids, 0 the background, on the segmenter's device.

        Raises:
            InputError: the frame has another size or type.
        """
        self._check(frame)
        watch, windows, self.frame_index = self.stopwatch, self.windows, self.frame_index + 1
        watch.begin()
        # once a frame, and only where it is asked: the host waits for a GPU here
        last = self.labels.cpu().numpy() if self.config.window_share or self.config.leap else None
        views = windows.look(frame, last, self.ids, self.config.min_pixels)
        features = [self.segmenter.features(view[None]) for view in views]
        watch.lap("features")
        maps = [x[TARGET_DEPTH][0] for x in features]
        self.seen = self.targets.scores(maps[0] if len(maps) == 1 else torch.stack([maps[view] for view in windows.owner]))
        watch.lap("target model")
        logits = self._logits(features)
        watch.lap("refinement" if self.segmenter.refinement else "readout")
        logits = logits if windows.whole else windows.spread(logits, self.size)
        logits = without_leaps(logits, last, self.ids, self.config.leap)
        self.probabilities, small, self.labels = answer(logits, self.ids, self.size, self.config.aggregation)
        watch.lap("aggregation")
        if new_labels is not None:
            small, self.labels = (corrected(x, new_labels, self.ids) for x in (small, self.labels))
            small = laid_over(small, to_size(self.add(frame, new_labels), tuple(small.shape)))
            watch.begin()
        if self.config.cg_update > 0:
            # one comparison per object: a tensor of ids would make the host wait for the GPU
            masks = torch.stack([small == i for i in self.ids]).float()
            self.targets.remember(masks if windows.whole else windows.through(masks))
            watch.lap("memory")
            if self.frame_index % self.config.update_every == 0:
                self.targets.update()
                watch.lap("update")
        return self.labels

    def _logits(self, features: list[tuple[Tensor, ...]]) -> Tensor:
        """R, or the readout of D alone, in every view of a frame: (N, h, w), each object in its own view."""
        parts, order = [], []
        for view, maps in enumerate(features):
            members = [n for n, owner in enumerate(self.windows.owner) if owner == view]
            scores = self.seen if len(features) == 1 else self.seen[members]
            parts.append(self.segmenter.logits(maps, scores, self.working_size, partial(self.windows.refine, members)))
            order += members
        return parts[0] if len(parts) == 1 else torch.cat(parts)[[order.index(n) for n in range(len(order))]]

    def _check(self, frame: np.ndarray) -> None:
        """Raise an InputError where the frame has another size or type than the video."""
        if frame.shape != (*self.size, 3) or frame.dtype != np.uint8:
            raise InputError(f"a frame is {frame.dtype} {frame.shape}: give uint8 RGB of shape {(*self.size, 3)}")

    def state(self) -> dict[str, Tensor]:
        """All that later steps depend on besides the segmenter, copied to the CPU; `Segmenter.restore` takes it."""
        numbers = {"size": self.size, "seed": self.seed, "ids": self.ids, "frame_index": self.frame_index}
        parts = {name: torch.tensor(value) for name, value in numbers.items()} | {"windows": self.windows.state()}
        parts |= {f"targets.{name}": part for name, part in self.targets.state().items()} | {"labels": self.labels}
        return {name: part.to("cpu", copy=True).contiguous() for name, part in parts.items()}
