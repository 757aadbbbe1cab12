"""F on first-frame samples: the maps of F, at less work."""

import numpy as np
import pytest
import torch

from vosedu.augmentation import first_frame_samples
from vosedu.beyond.close_up import Part
from vosedu.beyond.first_pass import FirstPass, batches, between, grown, reach
from vosedu.features import TARGET_DEPTH, build_backbone, fold_batchnorm

CPU = torch.device("cpu")


def samples(size, box, count=4):
    """Noise, with a target in a box of it, and augmented copies."""
    frame, mask = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8), np.zeros(size, np.uint8)
    mask[box] = 1
    return first_frame_samples(frame, mask, count, 3)[0]


def network(name):
    torch.manual_seed(0)
    return fold_batchnorm(build_backbone(name))


@pytest.mark.parametrize(("name", "size", "box"), [
    ("compact", (160, 272), np.s_[60:90, 100:150]),
    ("compact", (161, 270), np.s_[130:161, 240:270]),  # at the border, and no side a multiple of the stride
    ("resnet50", (131, 190), np.s_[:30, :40]),
    ("mobilenet_v2", (140, 211), np.s_[60:70, 90:110]),
])
def test_maps_are_those_of_f(name, size, box):
    backbone, images = network(name), samples(size, box)
    with torch.inference_mode():
        found = FirstPass(backbone)(images, CPU)
        whole = backbone(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)[TARGET_DEPTH]
    assert found.shape == whole.shape
    assert (found - whole).abs().max() < 1e-4 * whole.abs().max()


def test_a_sample_is_computed_only_where_it_differs(monkeypatch):
    backbone, images, seen = network("compact"), samples((240, 432), np.s_[100:130, 200:240]), []
    first_pass = FirstPass(backbone)
    shallow = FirstPass._shallow
    monkeypatch.setattr(FirstPass, "_shallow", lambda self, x, device: (seen.append(x.shape), shallow(self, x, device))[1])
    with torch.inference_mode():
        first_pass(images[[0, 1, 2, 0]], CPU)
    assert seen[0] == (1, 240, 432, 3) and len(seen) == 3, "the frame itself, then two boxes; a copy of the frame needs none"
    assert all(shape[1] * shape[2] < 0.6 * 240 * 432 for shape in seen[1:])


def test_two_parts_of_f_one_after_the_other_are_f_and_share_its_parameters():
    backbone = network("compact")
    x = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    shallow, deep = between(backbone.body, None, 1), between(backbone.body, 1, 3)
    maps = backbone.body(x)
    assert torch.equal(shallow(x), maps["1"]) and torch.equal(deep(shallow(x)), maps["3"])
    own = {id(p) for p in backbone.parameters()}
    assert own >= {id(p) for p in [*shallow.parameters(), *deep.parameters()]}
    assert not any("layer4" in name for name, _ in deep.named_parameters()), "conv5_x is R's alone"


def test_reach_by_hand():
    """compact: 3 pixels by the 7x7 filter, 2 by pooling at stride 2, 4 by each of two 3x3 filters at stride 4."""
    assert reach(between(network("compact").body, None, 1)) == 3 + 2 + 4 + 4
    assert reach(between(network("resnet50").body, None, 1)) == 3 + 2 + 3 * 4


def test_a_part_grows_to_the_grid_and_stays_in_the_image():
    assert grown(Part(21, 30, 40, 50), 5, (160, 272)) == (16, 24, 48, 56)
    assert grown(Part(2, 30, 40, 50), 5, (42, 53)) == (0, 24, 42, 53)


@pytest.mark.parametrize(("count", "size", "chunks"), [
    (10, (480, 854), [4, 4, 2]), (4, (480, 854), [4]), (5, (481, 854), [3, 2]), (40, (240, 427), [16, 16, 8]),
    (2, (2160, 3840), [1, 1]),
])
def test_batches_hold_as_many_pixels_as_four_480p_frames(count, size, chunks):
    images = np.broadcast_to(np.arange(count)[:, None, None, None], (count, *size, 3))
    found = list(batches(images))
    assert [len(b) for b in found] == chunks and np.concatenate([b[:, 0, 0, 0] for b in found]).tolist() == list(range(count))
