"""R object by object and about each object: what the network gives for all at once, over all of the image."""

from dataclasses import replace

import pytest
import torch
from helpers import moving_shapes
from test_refinement import CHANNELS, features

from vosedu import BEST, Segmenter
from vosedu.beyond.close_up import OUTSIDE, Part, averaged, refined
from vosedu.refinement import Refinement


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = Refinement(CHANNELS).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter *= 2.4  # Kaiming's: PyTorch's own start hardly lets the scores through
    return network


@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
def test_object_by_object_is_what_all_at_once_give(network, size):
    maps = features(*size)
    scores = torch.randn(3, *maps[3].shape[-2:], generator=torch.Generator().manual_seed(1))
    parts = [Part(0, 0, *size)] * 3
    assert torch.allclose(refined(network, maps, scores, size, parts), network(maps, scores, size), atol=1e-3)


@pytest.mark.parametrize(("size", "part", "where"), [
    ((256, 320), Part(48, 64, 240, 288), (slice(96, 192), slice(112, 240))),
    ((256, 320), Part(0, 64, 256, 320), (slice(0, 256), slice(112, 320))),  # three edges are the image's
    ((250, 318), Part(48, 64, 240, 288), (slice(96, 190), slice(112, 238))),  # R enlarges to 252 x 320 first
])
def test_about_an_object_its_logits_are_those_of_all_of_the_image(network, size, part, where):
    """Where its scores are 0 beyond its part. The averages are of all of the image; at cuts, 48 pixels are left away here."""
    maps = features(*size)
    scores = torch.zeros(2, *maps[3].shape[-2:])
    scores[:, 8:10, 10:12] = torch.randn(2, 2, 2, generator=torch.Generator().manual_seed(1)) + 1
    whole = network(maps, scores, size)
    got = refined(network, maps, scores, size, [part, Part(0, 0, *size)])
    spread = float(whole[0].std())
    wrong = (got[0][where] - whole[0][where]).abs().max() / spread
    assert wrong < (1e-4 if size == (256, 320) else 0.05), wrong
    assert torch.allclose(got[1], whole[1], atol=1e-4 * spread)
    if part != Part(0, 64, 256, 320):
        assert (got[0, :40] == OUTSIDE).all() and (got[0, :, :56] == OUTSIDE).all() and (got[0, :, 296:] == OUTSIDE).all()
    nobody = refined(network, maps, 0 * scores, size, [part] * 2)
    assert (got[0][where] - nobody[0][where]).abs().max() > 0.1 * spread, "its scores matter"


def test_an_average_of_two_maps_by_hand():
    """16 x 16 positions of 4 pixels; the part is the upper right quarter, of which four positions along its cuts are unsure."""
    nobody, mine = torch.full((1, 1, 16, 16), 2.0), torch.full((1, 1, 8, 8), 10.0)
    mine[..., 4:, :] = mine[..., :4] = 1e6
    assert averaged(mine, nobody, Part(0, 32, 32, 64), (64, 64)).item() == pytest.approx((16 * 10 + 240 * 2) / 256)
    assert averaged(mine[..., :4, 4:], nobody, Part(0, 0, 64, 64), (64, 64)).item() == 10


def test_several_objects_have_nearly_the_masks_that_they_have_with_all_of_the_image(segmenter):
    """And one object has those very masks."""
    frames, labels = moving_shapes(5, (120, 200), objects=2)
    engine = Segmenter(segmenter.backbone, segmenter.refinement, device="cpu", short_side=240)
    both = {}
    for room in (0.0, BEST.window_room):
        for count in (1, 2):
            changed = engine.changed(config=replace(BEST, window_room=room, samples=4))
            video = changed.start(frames[0], labels[0] * (labels[0] <= count))
            both[room, count] = torch.stack([video.step(frame) for frame in frames[1:]])
    assert torch.equal(both[0.0, 1], both[BEST.window_room, 1])
    a, b = both[0.0, 2], both[BEST.window_room, 2]
    assert not torch.equal(a, 0 * a) 
    for i in (1, 2):
        assert ((a == i) & (b == i)).sum() > 0.95 * ((a == i) | (b == i)).sum() > 0
