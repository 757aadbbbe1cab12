"""F: five maps at the strides of Section 3.5, normalisation inside, and BatchNorm folding that changes nothing."""

import pytest
import torch
from torch import nn

from vosedu.errors import InputError
from vosedu.features import BACKBONES, STRIDES, build_backbone, fold_batchnorm

CHANNELS = {
    "resnet18": (64, 64, 128, 256, 512),
    "resnet101": (64, 256, 512, 1024, 2048),
    "compact": (64, 64, 128, 256, 256),
    "mobilenet_v2": (24, 24, 32, 96, 320),
}


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 47)])
def test_five_maps_at_their_strides(name, size):
    backbone = build_backbone(name)
    maps = backbone(torch.rand(2, 3, *size))
    assert backbone.channels == CHANNELS[name]
    for x, c, stride in zip(maps, CHANNELS[name], STRIDES, strict=True):
        assert x.shape == (2, c, -(-size[0] // stride), -(-size[1] // stride))
    assert not any(p.requires_grad for p in backbone.parameters())


def test_normalisation_is_inside_and_order_is_rgb():
    backbone = build_backbone("compact")
    bytes_ = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    for a, b in zip(backbone(bytes_), backbone(bytes_ / 255), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    seen = []
    backbone.body.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone(torch.full((1, 3, 32, 32), 0.5))
    expected = [(0.5 - m) / d for m, d in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", CHANNELS)
def test_folding_batchnorm_keeps_the_function(name):
    torch.manual_seed(0)
    backbone = build_backbone(name)
    for m in backbone.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.2)
            m.running_var.uniform_(0.5, 2)
    x = torch.rand(1, 3, 64, 64)
    before = backbone(x)
    fold_batchnorm(backbone)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())
    for a, b in zip(before, backbone(x), strict=True):
        assert (a - b).norm() < 1e-4 * a.norm()


def test_unknown_backbone_names_the_known_ones():
    with pytest.raises(InputError, match=", ".join(BACKBONES)):
        build_backbone("vgg")
