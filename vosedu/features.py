"""F: five feature maps of a frozen, pre-trained network (Section 3.5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.resnet import BasicBlock, ResNet

from .errors import InputError

STRIDES = (4, 4, 8, 16, 32)
"""Pixels of the image per position of each map, shallowest first."""
TARGET_DEPTH = 3
"""Index of the map that the target model reads: conv4_x, stride 16."""

def _compact() -> ResNet:
    """ResNet with blocks (1, 1, 2, 1), and 256 channels in place of 512 in conv5_x: it holds most of the parameters, and D
    never reads it."""
    network = ResNet(BasicBlock, [1, 1, 2, 1])
    network.inplanes = 256
    network.layer4 = network._make_layer(BasicBlock, 256, 1, stride=2)
    return network


def _mobilenet() -> nn.Module:
    """The teacher of the distillation: torchvision's MobileNetV2 with ReLU in place of ReLU6."""
    network = get_model("mobilenet_v2", weights=None)
    for module in list(network.modules()):
        for key, child in module.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(module, key, nn.ReLU(inplace=True))
    return network


@dataclass(frozen=True)
class Architecture:
    """A kind of backbone; one line of `BACKBONES` each.

    Attributes:
        network: makes a classifier with random parameters.
        nodes: its five modules whose outputs are the maps, shallowest first.
        source: where trained parameters come from if no file is given: "bundled", "torchvision", or "" for nowhere.
        short_side: pixels on the shorter side of the frames that it sees best; 0: frames as they are.
        conv5: its module conv5_x, which R alone reads; "" where there is none that could be trained apart.
    """

    network: Callable[[], nn.Module]
    nodes: tuple[str, ...] = ("maxpool", "layer1", "layer2", "layer3", "layer4")
    source: str = "torchvision"
    short_side: int = 0
    conv5: str = "layer4"


BACKBONES = {
    # trained at 240 rows with targets as large as at 432 (docs/presets.md); far better than at the size of small videos
    "compact": Architecture(_compact, source="bundled", short_side=432),
    "mobilenet_v2": Architecture(_mobilenet, tuple(f"features.{i}" for i in (2, 3, 6, 13, 17)), source="", conv5=""),
    **{f"resnet{n}": Architecture(partial(get_model, f"resnet{n}", weights=None)) for n in (18, 34, 50, 101)},
}

class Backbone(nn.Module):
    """Five maps of an image, by depth.

    In the naming of the paper's Section 3.5 they are the max-pooling output in conv2_x and the outputs of conv2_x,
    conv3_x, conv4_x and conv5_x. All parameters are frozen, and are named as torchvision names them.

    Args:
        name: one of `BACKBONES`.
        network: a torchvision classifier; what comes after the last node is dropped.
        nodes: the five modules of `network` whose outputs are the maps.
    """

    def __init__(self, name: str, network: nn.Module, nodes: Sequence[str]):
        super().__init__()
        self.name = name
        self.body = create_feature_extractor(network, {node: str(depth) for depth, node in enumerate(nodes)})
        # ImageNet statistics of RGB in [0, 1]; constants, so not part of a weights file.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)
        self.channels: tuple[int, ...] = tuple(x.shape[1] for x in self(torch.zeros(1, 3, 32, 32)))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Feature maps x^1 … x^5 (Section 3.2).

        Args:
            images: (B, 3, H, W), RGB in [0, 1] or uint8 in 0..255; H and W any size from 32.

        Returns:
            Five tensors (B, C_d, ceil(H / s_d), ceil(W / s_d)), s_d from `STRIDES`.
        """
        return tuple(self.body(self.normalised(images)).values())

    def normalised(self, images: Tensor) -> Tensor:
        """Images, as `forward` takes them, with the mean and deviation of ImageNet taken out."""
        scale = 255.0 if images.dtype == torch.uint8 else 1.0
        return (images - self.mean * scale) / (self.deviation * scale)


def architecture(name: str) -> Architecture:
    """The entry of `BACKBONES`.

    Raises:
        InputError: the name is unknown.
    """
    if name not in BACKBONES:
        raise InputError(f"unknown backbone '{name}': choose one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


def build_backbone(name: str) -> Backbone:
    """The architecture `name` with random parameters; `vosedu.weights.load_pretrained` gives it its trained ones.

    Raises:
        InputError: the name is unknown.
    """
    kind = architecture(name)
    return Backbone(name, kind.network(), kind.nodes)


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """Fold every BatchNorm into the convolution before it, in place: the same function with fewer passes over memory.

    Only sound for frozen networks in evaluation mode, and relies on torchvision's order (a norm follows its
    convolution among the children of one module).
    """
    previous, previous_key = None, ""
    for key, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d):
            setattr(module, previous_key, fuse_conv_bn_eval(previous, child))
            setattr(module, key, nn.Identity())
        else:
            fold_batchnorm(child)
        previous, previous_key = child, key
    return module
