"""R: shapes, parameter names of the published checkpoints, and independence of objects."""

import pytest
import torch
import torch.nn.functional as F

from vosedu.refinement import ChannelAttention, Output, Refinement, ResidualBlock, TargetSegmentationEncoder, double

CHANNELS = (64, 64, 128, 256, 512)


def features(height, width, seed=0):
    g = torch.Generator().manual_seed(seed)
    sizes = [(-(-height // s), -(-width // s)) for s in (4, 4, 8, 16, 32)]
    return [torch.randn(1, c, *size, generator=g) for c, size in zip(CHANNELS, sizes, strict=True)]


def test_parameter_names_and_shapes_are_those_of_the_published_checkpoints():
    state = Refinement(CHANNELS).state_dict()
    assert len(state) == 140
    shapes = {k: tuple(v.shape) for k, v in state.items()}
    assert shapes["TSE.layer5.reduce.0.weight"] == (64, 512, 1, 1)
    assert shapes["TSE.layer2.reduce.0.weight"] == (64, 64, 1, 1)
    assert shapes["TSE.layer4.transform.0.weight"] == (65, 65, 3, 3)
    assert shapes["TSE.layer4.transform.4.weight"] == (64, 65, 3, 3)
    assert shapes["RRB2.layer3.bblock.1.running_mean"] == (64,)
    assert "RRB1.layer3.bblock.3.bias" not in shapes
    assert shapes["CAB.layer5.convreluconv.0.weight"] == (64, 128, 1, 1)
    assert shapes["project.conv1.weight"] == (32, 64, 3, 3) and shapes["project.conv2.weight"] == (1, 32, 3, 3)


@pytest.mark.parametrize("size", [(96, 128), (97, 131), (33, 47)])
def test_logits_have_the_size_of_the_image(size):
    net = Refinement(CHANNELS).eval()
    maps = features(*size)
    with torch.no_grad():
        logits = net(maps, torch.randn(3, *maps[3].shape[-2:]), size)
    assert logits.shape == (3, *size) and torch.isfinite(logits).all()


def test_objects_do_not_influence_each_other():
    net = Refinement(CHANNELS).eval()
    maps = features(64, 96)
    scores = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = net(maps, scores, (64, 96))
        alone = torch.cat([net(maps, s[None], (64, 96)) for s in scores])
    assert torch.allclose(together, alone, atol=1e-5)


def convolve(x, state, name):
    """A convolution layer with the parameters of that name, at the same size."""
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2)


def residual(x, state, name):
    """RRB: ReLU(h + b(h)), h a 1x1 convolution, b two 3x3 ones with batch normalisation and a ReLU between them."""
    h = convolve(x, state, f"{name}.conv1x1")
    b = convolve(h, state, f"{name}.bblock.0")
    mean, variance, gain, shift = (state[f"{name}.bblock.1.{part}"][:, None, None]
                                   for part in ("running_mean", "running_var", "weight", "bias"))
    b = (gain * (b - mean) / (variance + 1e-5).sqrt() + shift).clamp_min(0)
    return (h + convolve(b, state, f"{name}.bblock.3")).clamp_min(0)


def plain_refinement(state, maps, scores, size):
    """Eq. (5) in the usual order of operations, one object (h, w) at a time: concatenation, resampling of all channels."""
    z = None
    for depth in (5, 4, 3, 2):
        x, layer = maps[depth - 1], f"layer{depth}"
        projected = convolve(convolve(x, state, f"TSE.{layer}.reduce.0").clamp_min(0), state, f"TSE.{layer}.reduce.2")
        up = F.interpolate(scores[None, None], size=x.shape[-2:], mode="bilinear", align_corners=False)
        encoded = torch.cat([projected, up], dim=1)
        for k in (0, 2, 4):
            encoded = convolve(encoded, state, f"TSE.{layer}.transform.{k}").clamp_min(0)
        deeper = projected.mean((2, 3), keepdim=True) if z is None else z
        shallower = residual(encoded, state, f"RRB1.{layer}")
        averages = torch.cat([shallower.mean((2, 3), True), deeper.mean((2, 3), True)], dim=1)
        gate = convolve(averages, state, f"CAB.{layer}.convreluconv.0").clamp_min(0)
        gate = convolve(gate, state, f"CAB.{layer}.convreluconv.2").sigmoid()
        up = F.interpolate(deeper, size=x.shape[-2:], mode="bilinear", align_corners=False)
        z = residual(shallower * gate + up, state, f"RRB2.{layer}")
    x = convolve(F.interpolate(z, scale_factor=2, mode="bicubic"), state, "project.conv1").clamp_min(0)
    x = F.interpolate(F.interpolate(x, scale_factor=2, mode="bicubic"), size=size, mode="bilinear", align_corners=False)
    return convolve(x, state, "project.conv2")[0, 0]


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_the_network_is_eq_5(size):
    """From the deepest map to the shallowest, with random parameters and statistics, for two objects."""
    torch.manual_seed(3)
    net = Refinement(CHANNELS).eval()
    state = net.state_dict()
    for name, part in state.items():
        if name.endswith("running_mean"):
            part.normal_(0, 0.3)
        elif name.endswith("running_var") or name.endswith("bblock.1.weight"):
            part.uniform_(0.5, 1.5)
    maps = features(*size)
    scores = torch.randn(2, *maps[3].shape[-2:], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = net(maps, scores, size)
        for n in range(2):
            expected = plain_refinement(state, maps, scores[n], size)
            assert (found[n] - expected).norm() < 1e-4 * expected.norm()
            assert (expected - plain_refinement(state, maps, scores[1 - n], size)).norm() > 1e-3 * expected.norm()


def test_residual_and_attention_blocks_by_hand():
    torch.manual_seed(0)
    block = ResidualBlock().eval()
    x = torch.randn(1, 64, 5, 6)
    h = torch.einsum("oc,bchw->bohw", block.conv1x1.weight[:, :, 0, 0], x) + block.conv1x1.bias[:, None, None]
    conv = F.conv2d
    b = block.bblock
    inner = conv(h, b[0].weight, b[0].bias, padding=1) / (1 + b[1].eps) ** 0.5  # fresh statistics: mean 0, variance 1
    expected = (h + conv(inner.clamp_min(0), b[3].weight, padding=1)).clamp_min(0)
    assert torch.allclose(block(x), expected, atol=1e-5)

    attention = ChannelAttention()
    deeper, shallower = torch.randn(1, 64, 2, 3), torch.randn(1, 64, 4, 6)
    first, second = attention.convreluconv[0], attention.convreluconv[2]
    average = torch.cat([shallower.mean((2, 3)), deeper.mean((2, 3))], 1)
    gate = (average @ first.weight[:, :, 0, 0].T + first.bias).clamp_min(0) @ second.weight[:, :, 0, 0].T + second.bias
    up = F.interpolate(deeper, (4, 6), mode="bilinear")
    assert torch.allclose(attention(deeper, shallower), shallower * gate.sigmoid()[..., None, None] + up, atol=1e-5)


def test_bicubic_doubling_is_pytorchs():
    x = torch.randn(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
    assert torch.allclose(double(x, Output().filters), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(48, 64), (45, 61), (100, 30)])
def test_output_equals_the_plain_order_of_operations(size):
    """Mixing channels before resampling changes nothing (Output's comment), at exact and at other sizes."""
    torch.manual_seed(0)
    output, z = Output(), torch.randn(2, 64, 12, 16)
    x = F.relu(output.conv1(F.interpolate(z, scale_factor=2, mode="bicubic", align_corners=False)))
    x = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
    plain = output.conv2(F.interpolate(x, size=size, mode="bilinear", align_corners=False))
    assert torch.allclose(output(z, size), plain, atol=1e-5)


def test_encoder_equals_the_plain_concatenation():
    torch.manual_seed(0)
    encoder, x, scores = TargetSegmentationEncoder(32), torch.randn(1, 32, 12, 16), torch.randn(3, 1, 6, 8)
    encoded, projected = encoder(x, scores)
    up = F.interpolate(scores, size=(12, 16), mode="bilinear", align_corners=False)
    plain = encoder.transform(torch.cat([projected.expand(3, -1, -1, -1), up], dim=1))
    assert torch.allclose(encoded, plain, atol=1e-5)
