"""F on the samples of a first frame, no further than D reads it, and on a CPU only where a sample is not the frame itself.

An augmented sample (Section 3.1) is the frame but for the hole that its target left and the place to which it was pasted. So
the levels at a quarter of the image's size, two fifths of the work, are computed for the frame once, and for a sample in the
box in which it differs. The maps are those of F up to rounding.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor, fx, nn

from ..features import STRIDES, TARGET_DEPTH, Backbone
from .close_up import Part, grown

SHALLOW = 1
"""Depth of the last map that is computed box by box."""


class FirstPass:
    """conv4_x of a backbone for images that differ in places.

    Args:
        backbone: on its device, batch normalisation folded away.
    """

    def __init__(self, backbone: Backbone):
        self.backbone = backbone
        self.shallow, self.deep = between(backbone.body, None, SHALLOW), between(backbone.body, SHALLOW, TARGET_DEPTH)
        self.reach = reach(self.shallow)

    def __call__(self, images: np.ndarray, device: torch.device) -> Tensor:
        """Maps (K, C, h, w), float32, of uint8 RGB images (K, H, W, 3)."""
        if device.type != "cpu":  # a GPU does many whole images at once, and would wait for each box
            return torch.cat([self.deep(self._shallow(batch, device)).float() for batch in batches(images)])
        first, found = self._shallow(images[:1], device), []
        for batch in batches(images):
            found.append(self.deep(torch.cat([self._like(image, images[0], first) for image in batch])).float())
        return torch.cat(found)

    def _shallow(self, images: np.ndarray, device: torch.device) -> Tensor:
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
        return self.shallow(self.backbone.normalised(batch))

    def _like(self, image: np.ndarray, other: np.ndarray, maps: Tensor) -> Tensor:
        """The shallow maps of an image, where `maps` are those of another one."""
        size, stride = other.shape[:2], STRIDES[SHALLOW]
        # colours side by side as one wide picture: the greatest of them, pixel by pixel, would take a tenth of all the time
        x, y, width, height = cv2.boundingRect(cv2.absdiff(image, other).reshape(size[0], -1))
        if not width:
            return maps
        part = grown(Part(y, x // 3, y + height, -(-(x + width) // 3)), self.reach, size)  # what sees the difference
        seen = grown(part, self.reach, size)  # what that depends on
        own = self._shallow(image[None, seen.top : seen.bottom, seen.left : seen.right], maps.device)
        maps = maps.clone()
        part.of(maps, stride).copy_(part.within(seen).of(own, stride))
        return maps


def between(body: fx.GraphModule, begin: int | None, end: int) -> fx.GraphModule:
    """What of a backbone's `body` leads from one of its maps, or from the image, to another; its parameters are shared."""
    outputs = {int(depth): node for depth, node in body.graph.output_node().args[0].items()}
    graph, copied = fx.Graph(), {}
    if begin is not None:
        copied[outputs[begin]] = graph.placeholder("maps")
    needed, waiting = set(), [outputs[end]]
    while waiting:
        node = waiting.pop()
        if node not in copied and node not in needed:
            needed.add(node)
            waiting += node.all_input_nodes
    for node in body.graph.nodes:  # in the order of computing
        if node in needed:
            copied[node] = graph.node_copy(node, copied.__getitem__)
    graph.output(copied[outputs[end]])
    return fx.GraphModule(body, graph)


def reach(network: nn.Module) -> int:
    """Pixels to one side that a position of the output sees, at most."""
    jump, found = 1, 0
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
            kernel, stride = (max(np.atleast_1d(value)) for value in (module.kernel_size, module.stride))
            found, jump = found + jump * (kernel // 2), jump * stride
    return int(found)


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Chunks that keep F's activations small on a host with little memory: about four 480p frames."""
    count = max(1, int(4 * 480 * 854 / (images.shape[1] * images.shape[2])))
    for start in range(0, len(images), count):
        yield images[start : start + count]
