"""The rows of Table 1 that are not ours: Base net, and Base net fine-tuned on the first frame (Section 4.1).

An offline-trained target encoder stands in D's place; backbone, R, training and evaluation are the same.
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..aggregation import answer, laid_over
from ..augmentation import first_frame_samples
from ..beyond.first_pass import batches
from ..beyond.nearest import covered
from ..features import TARGET_DEPTH
from ..files.images import resized, to_size
from ..refinement import Refinement
from ..segmenter import Segmenter
from ..weights import fill, part, read_state
from .offline import Pretrained, Training, output
from .shots import Clips

FINE_TUNE_STEPS = 100
FINE_TUNE_BATCH = 4
FINE_TUNE_RATE = 1e-4
"""Adam's; the paper gives the steps and the batch, not the rate. This is the rate that training ended with."""


class TargetEncoder(nn.Module):
    """Scores without online learning: two convolutions over the reference frame's conv4_x map and mask, two over their
    result and the test frame's map (Section 4.1). The paper leaves the widths open; 96 is D's.

    Args:
        channels: of conv4_x.
        width: channels of the hidden maps.
    """

    def __init__(self, channels: int, width: int = 96):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(channels + 1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
        )
        self.compare = nn.Sequential(
            nn.Conv2d(channels + width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1)
        )

    def target(self, features: Tensor, masks: Tensor) -> Tensor:
        """Maps (B, C, h, w) and masks (B, H, W) of reference frames -> their encodings (B, width, h, w)."""
        share = covered(masks, features.shape[-2:])
        return self.encode(torch.cat([features, share[:, None]], dim=1))

    def forward(self, features: Tensor, target: Tensor) -> Tensor:
        """Maps (B, C, h, w) of test frames and encodings (B, width, h, w) -> scores (B, h, w)."""
        return self.compare(torch.cat([features, target], dim=1))[:, 0]


class BaseNet(nn.Module):
    """Target encoder and R, trained together.

    Args:
        channels: of the backbone's five maps.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.encoder = TargetEncoder(channels[TARGET_DEPTH])
        self.refinement = Refinement(channels)

    def forward(
        self, features: Sequence[Tensor], reference: Tensor, masks: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Logits (B, H, W).

        Args:
            features: five maps (B, C_d, h_d, w_d) of the test frames.
            reference: (B, C, h, w), conv4_x of the reference frames.
            masks: (B, H, W), the objects there.
            size: (H, W).
        """
        scores = self.encoder(features[TARGET_DEPTH], self.encoder.target(reference, masks))
        return self.refinement(features, scores, size)


class BaseTraining(Training):
    """Training of the Base net: the same samples and recipe; the reference frame is encoded in every step."""

    what = "Base net"
    flag = "base-net"
    help = "train Table 1's Base net, a target encoder in D's place"
    suffix = "-base"

    @classmethod
    def start(cls, pretrained: Pretrained, fine_tune: bool) -> dict[str, Tensor]:
        """As `Training.start`, for the R in the Base net."""
        return {f"refinement.{name}": value for name, value in super().start(pretrained, fine_tune).items()}

    def build(self) -> nn.Module:
        """A Base net with random parameters."""
        return BaseNet(self.segmenter.backbone.channels)

    def parts(self, pretrained: Pretrained) -> dict[str, nn.Module]:
        """The whole net; it is of use to `table1` alone."""
        return {"base": self.trained()}

    def write(self, path: Path, pretrained: Pretrained) -> None:
        """As `Training.write`; a readout of D has no place beside it."""
        super().write(path, pretrained._replace(readout=None))

    def logits(self, network: nn.Module, sequences: list[tuple[Clips, int]], frames: Tensor) -> tuple[Tensor, None]:
        """As `Training.logits`, with an encoding of each reference frame in place of D, and so without scores."""
        count = frames.shape[1]
        shots = [clips.reference(index) for clips, index in sequences]
        images = torch.from_numpy(np.stack([s.frame for s in shots]))[:, None]
        masks = torch.from_numpy(np.stack([s.mask for s in shots])).to(self.segmenter.device).float()
        reference, masks = (x.repeat_interleave(count, dim=0) for x in (self.features(images)[TARGET_DEPTH], masks))
        return output(self.segmenter, network, self.features(frames), reference, masks, tuple(frames.shape[2:4])), None


def load_base_net(path: Path, channels: Sequence[int]) -> BaseNet:
    """A trained Base net from a file of `vosedu train --base-net`.

    Raises:
        InputError: the file is unusable or belongs to another backbone.
    """
    net = BaseNet(channels)
    fill(net, part(read_state(path)[0], "base."), "the base net", path)
    return net.eval().requires_grad_(False)


class BaseSegmenter:
    """The Base net in a `Segmenter`'s place: `start` a video, `step` through it.

    Args:
        segmenter: gives F, device and settings; its own R and D are not used.
        net: a trained Base net.
        fine_tune: fine-tune the net on first-frame samples of each object (F-T in Table 1).
    """

    def __init__(self, segmenter: Segmenter, net: BaseNet, fine_tune: bool = False):
        self.segmenter, self.net, self.fine_tune = segmenter, net.to(segmenter.device), fine_tune

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """As `Segmenter.working_size`."""
        return self.segmenter.working_size(size)

    def start(self, frame: np.ndarray, labels: np.ndarray, seed: int = 0) -> "BaseVideo":
        """As `Segmenter.start`."""
        return BaseVideo(self, frame, labels, seed)

    @torch.enable_grad()
    def tuned(self, frame: np.ndarray, mask: np.ndarray, seed: tuple[int, int]) -> BaseNet:
        """A copy of the net, fine-tuned on first-frame samples: 100 iterations of Adam, four samples each.

        Args:
            frame: uint8 RGB (h, w, 3).
            mask: (h, w), 1 on the object.
            seed: of the samples and of their order.
        """
        segmenter = self.segmenter
        images, labels = first_frame_samples(frame, mask, segmenter.config.samples, seed)
        net = BaseNet(segmenter.backbone.channels).to(segmenter.device)
        net.load_state_dict(self.net.state_dict())
        net.train()
        optimiser = torch.optim.Adam(net.parameters(), lr=FINE_TUNE_RATE)
        rng = np.random.default_rng(seed)
        maps = [torch.cat(x) for x in zip(*map(segmenter.features, batches(images)), strict=True)]
        reference, masks = maps[TARGET_DEPTH][:1], torch.from_numpy(mask[None]).to(maps[TARGET_DEPTH])
        order = cycle(np.concatenate([rng.permutation(len(images)) for _ in range(FINE_TUNE_BATCH)]))
        for _ in range(FINE_TUNE_STEPS):
            chosen = [next(order) for _ in range(FINE_TUNE_BATCH)]
            features = [x[chosen] for x in maps]
            each = (x.expand(FINE_TUNE_BATCH, *x.shape[1:]) for x in (reference, masks))
            logits = output(segmenter, net, features, *each, mask.shape)
            loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels[chosen]).to(logits))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        return net.eval().requires_grad_(False)


class BaseVideo:
    """The state of one video: an encoding of each object, and a net of its own where that is fine-tuned.

    Attributes:
        ids, frame_index: as in `Video`.
        probabilities, labels: of the last frame, as in `Video`.
    """

    def __init__(self, base: BaseSegmenter, frame: np.ndarray, labels: np.ndarray, seed: int):
        self.base, self.seed, self.size, self.frame_index = base, seed, frame.shape[:2], 0
        self.working_size = base.working_size(self.size)
        self.ids: list[int] = []
        self._targets: list[tuple[BaseNet, Tensor]] = []
        self.labels = torch.from_numpy(labels.astype(np.uint8))
        self._add(resized(frame, self.working_size), labels)

    @torch.no_grad()
    def _add(self, frame: np.ndarray, labels: np.ndarray) -> None:
        """Encode the objects of ids (H, W) that are not known yet, in a frame (h, w, 3) of the working size."""
        segmenter, small = self.base.segmenter, to_size(labels, self.working_size)
        for i in (int(i) for i in np.unique(small) if i and int(i) not in self.ids):
            mask = (small == i).astype(np.uint8)
            net = self.base.tuned(frame, mask, (self.seed, i)) if self.base.fine_tune else self.base.net
            reference = segmenter.features(frame[None])[TARGET_DEPTH]
            masks = torch.from_numpy(mask[None]).to(reference)
            self._targets.append((net, net.encoder.target(reference, masks)))
            self.ids.append(i)

    def kept(self) -> list[Tensor]:
        """What later frames depend on: each object's encoding, and the parameters of its net where that is its own."""
        own = [part for net, _ in self._targets if net is not self.base.net for part in net.state_dict().values()]
        return [encoding for _, encoding in self._targets] + own

    @torch.no_grad()
    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """As `Video.step`."""
        segmenter, small = self.base.segmenter, resized(frame, self.working_size)
        self.frame_index += 1
        features = segmenter.features(small[None])
        logits = [
            output(segmenter, net.refinement, features, net.encoder(features[TARGET_DEPTH], target), self.working_size)
            for net, target in self._targets
        ]
        self.probabilities, _, self.labels = answer(torch.cat(logits), self.ids, self.size, segmenter.config.aggregation)
        if new_labels is not None:
            fresh = np.where(np.isin(new_labels, self.ids), 0, new_labels)
            self._add(small, fresh)
            self.labels = laid_over(self.labels, fresh)
        return self.labels
