"""R about each object: what the network gives for all at once, over all of the image, and what is kept from frame to frame."""

from dataclasses import replace

import pytest
import torch
from helpers import moving_shapes
from test_refinement import CHANNELS, features

from vosedu import BEST, Segmenter
from vosedu.beyond.close_up import OUTSIDE, Part, average_beyond, averaged, hull, refined
from vosedu.beyond.window import KEPT
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
    assert torch.allclose(refined(network, maps, scores, size, parts)[0], network(maps, scores, size), atol=1e-3)


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
    got, _ = refined(network, maps, scores, size, [part, Part(0, 0, *size)])
    spread = float(whole[0].std())
    wrong = (got[0][where] - whole[0][where]).abs().max() / spread
    assert wrong < (1e-4 if size == (256, 320) else 0.05), wrong
    assert torch.allclose(got[1], whole[1], atol=1e-4 * spread)
    if part != Part(0, 64, 256, 320):
        assert (got[0, :40] == OUTSIDE).all() and (got[0, :, :56] == OUTSIDE).all() and (got[0, :, 296:] == OUTSIDE).all()
    nobody, _ = refined(network, maps, 0 * scores, size, [part] * 2)
    assert (got[0][where] - nobody[0][where]).abs().max() > 0.1 * spread, "its scores matter"


@pytest.mark.parametrize("parts", [
    [Part(48, 64, 240, 288)], [Part(0, 64, 96, 200)], [Part(160, 208, 256, 320)],
    [Part(48, 64, 160, 192), Part(96, 128, 256, 304)], [Part(48, 64, 160, 192), Part(0, 0, 256, 320)],
])
def test_with_averages_that_are_known_nothing_else_is_needed_beyond_the_parts(network, parts):
    size = (256, 320)
    maps = features(*size)
    scores = torch.randn(len(parts), *maps[3].shape[-2:], generator=torch.Generator().manual_seed(1))
    made, beyond = refined(network, maps, scores, size, parts)
    assert [None if x is None else x.shape for x in beyond] == [None if p.all_of(size) else (64,) for p in parts]
    sizes, encoder = [], network.TSE[network.layers[0]].reduce[0]
    hook = encoder.register_forward_pre_hook(lambda _, given: sizes.append(tuple(4 * n for n in given[0].shape[2:])))
    known, same = refined(network, maps, scores, size, parts, beyond)
    hook.remove()
    around = hull(parts, size)
    assert sizes == [(around.bottom - around.top, around.right - around.left)]
    assert same == beyond and torch.allclose(known, made, atol=1e-4 * float(made[made > OUTSIDE].std()))
    other, _ = refined(network, maps, scores, size, parts, [beyond[0] + 1.0, *beyond[1:]])
    assert not torch.allclose(other[0], made[0], atol=1e-2), "the averages matter"


def test_an_average_of_two_maps_by_hand():
    """16 x 16 positions of 4 pixels; the part is the upper right quarter, of which four positions along its cuts are unsure."""
    part, size = Part(0, 32, 32, 64), (64, 64)
    nobody, mine = torch.full((1, 64, 16, 16), 2.0), torch.full((1, 64, 8, 8), 10.0)
    nobody[..., 0, 0], nobody[..., :4, 12:] = 242.0, 1e6  # the last is where the part is sure
    mine[..., 4:, :] = mine[..., :4] = 1e6
    beyond = average_beyond(nobody, part, size)
    assert beyond.tolist() == [3.0] * 64  # 2, and 240 more at one of 240 positions
    assert averaged(mine, beyond, part, size).flatten().tolist() == pytest.approx([(16 * 10 + 240 * 3) / 256] * 64)
    assert averaged(mine[..., :4, 4:], None, Part(0, 0, 64, 64), size).unique().item() == 10


def test_the_hull_of_parts_is_one_position_larger_but_stays_in_the_image():
    assert hull([Part(16, 32, 64, 80), Part(48, 16, 96, 64)], (100, 128)) == Part(12, 12, 100, 84)
    assert hull([Part(0, 0, 96, 128)], (97, 128)) == Part(0, 0, 97, 128)


def test_objects_have_nearly_the_masks_that_they_have_with_all_of_the_image(segmenter):
    """With one object and with two; and a restored video has the same bits in every frame, older averages included."""
    frames, labels = moving_shapes(KEPT + 3, (240, 400), objects=2, radius=40, step=4)
    engine = Segmenter(segmenter.backbone, segmenter.refinement, device="cpu", short_side=240)
    for count in (1, 2):
        found = {}
        for room in (0.0, BEST.window_room):
            config = replace(BEST, window_room=room, window_zoom=1.0, nearest=0.0, samples=4, gn_steps=3)
            video, found[room] = engine.changed(config=config).start(frames[0], labels[0] * (labels[0] <= count)), []
            for frame in frames[1:]:
                restored = video.segmenter.restore(video.state())
                found[room].append(video.step(frame))
                assert torch.equal(restored.step(frame), video.labels)
            assert [gaze.kept and gaze.kept.age for gaze in video.windows.gazes] == [2 if room else None] * count
        a, b = map(torch.stack, found.values())
        assert not torch.equal(a, b), "R has been asked about parts"
        for i in range(1, count + 1):
            assert ((a == i) & (b == i)).sum() > 0.95 * ((a == i) | (b == i)).sum() > 0
