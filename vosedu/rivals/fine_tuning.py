"""Fine-tuning (OSVOS, OnAVOS): a network that was trained before is trained on, on the first frame, and on every later one.

The Base net and its fine-tuning on the first frame (Section 4.1) are in `training.baselines`. OnAVOS (Voigtlaender and Leibe,
BMVC 2017) goes on in later frames: pixels of which the network is sure are examples,

    y_p = 1 where P_p > 0.97;   y_p = 0 where p lies farther than d from the last mask;   p is left out elsewhere,

and each step lowers the loss on the first frame plus β times that on the frame of now. It takes steps in every frame; here in
every t_s-th, as the other families. A network of its own for each object is all its memory.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..features import TARGET_DEPTH
from ..files.images import resized, to_size
from ..training.baselines import BaseNet, BaseSegmenter, BaseVideo
from ..training.offline import output
from ..training.shots import VOID

SURE = 0.97
FAR = 220 / 480
"""d, in heights of the frame (OnAVOS: 220 pixels at 480p)."""
STEPS, RATE, SHARE = 4, 1e-5, 0.2
"""Steps a time, Adam's rate, and β. OnAVOS: 15 steps a frame, 3 of them on the frame of now at 0.05 of the rate."""


def examples(probabilities: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What is taken for certain: 1, 0 or `VOID`, uint8 (h, w), from the object's probabilities and its last mask, (h, w)."""
    away = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    found = np.full(mask.shape, VOID, np.uint8)
    found[away > FAR * mask.shape[0]] = 0
    found[probabilities > SURE] = 1
    return found


class AdaptiveSegmenter(BaseSegmenter):
    """The Base net, fine-tuned on the first frame and adapted online."""

    def start(self, frame: np.ndarray, labels: np.ndarray, seed: int = 0) -> "AdaptiveVideo":
        """As `Segmenter.start`."""
        return AdaptiveVideo(self, frame, labels, seed)


class AdaptiveVideo(BaseVideo):
    """A `BaseVideo` whose nets learn from their own masks."""

    def __init__(self, base: AdaptiveSegmenter, frame: np.ndarray, labels: np.ndarray, seed: int):
        self._first: list[tuple[tuple[Tensor, ...], Tensor]] = []  # five maps and mask (h, w) of each object's first frame
        super().__init__(base, frame, labels, seed)

    def _add(self, frame: np.ndarray, labels: np.ndarray) -> None:
        known, small = len(self.ids), to_size(labels, self.working_size)
        super()._add(frame, labels)
        for i in self.ids[known:]:
            maps = self.base.segmenter.features(frame[None])
            self._first.append((tuple(x.clone() for x in maps), torch.from_numpy((small == i).astype(np.float32)).to(maps[0])))

    def kept(self) -> list[Tensor]:
        """As `BaseVideo.kept`, and the first frames, from which the nets go on learning."""
        return super().kept() + [part for maps, mask in self._first for part in (*maps, mask)]

    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """As `Video.step`; every t_s-th frame is learned from."""
        before, known = self.labels, len(self.ids)
        found = super().step(frame, new_labels)
        if self.frame_index % self.base.segmenter.config.update_every == 0:
            seen = self.base.segmenter.features(resized(frame, self.working_size)[None])
            maps = tuple(x.clone() for x in seen)  # tensors of inference give no gradients
            for n, i in enumerate(self.ids[:known]):
                last = to_size((before == i).cpu().numpy().astype(np.uint8), self.working_size)
                self.adapt(n, maps, examples(self.probabilities[n + 1].cpu().numpy(), last))
        return found

    @torch.enable_grad()
    def adapt(self, n: int, maps: tuple[Tensor, ...], labels: np.ndarray) -> None:
        """A few steps for object n, on the first frame and on one of now: five maps, and `examples` (h, w).

        Where nothing is surely the object, it is left alone: it may be hidden.
        """
        if not (labels == 1).any():
            return
        (first, mask), net = self._first[n], self._targets[n][0]
        if net is self.base.net:
            raise ValueError("a net that all videos share is not adapted: ask for fine_tune")
        net.requires_grad_(True)
        optimiser, size = torch.optim.Adam(net.parameters(), lr=RATE), mask.shape
        truth = torch.from_numpy(labels).to(mask)
        for _ in range(STEPS):
            terms = [F.binary_cross_entropy_with_logits(self._logits(net, n, x, size), y, (y != VOID).to(y))
                     for x, y in ((first, mask), (maps, truth))]
            optimiser.zero_grad(set_to_none=True)
            (terms[0] + SHARE * terms[1]).backward()
            optimiser.step()
        net.requires_grad_(False)
        self._targets[n] = net, net.encoder.target(first[TARGET_DEPTH], mask[None]).detach()

    def _logits(self, net: BaseNet, n: int, maps: tuple[Tensor, ...], size: tuple[int, int]) -> Tensor:
        first, mask = self._first[n]
        return output(self.base.segmenter, net, maps, first[TARGET_DEPTH], mask[None], size)[0]
