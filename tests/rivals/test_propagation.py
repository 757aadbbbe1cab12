"""The propagation network with weights set by hand, and the masks that it learns from."""

import numpy as np
import pytest
import torch
from rivals.toys import first_frame, pixels

from vosedu.config import WHOLE
from vosedu.rivals.propagation import WIDTH, Propagation, Propagator, deformed


@pytest.fixture
def network():
    """All weights 0."""
    net = Propagator(2)
    for parameter in net.parameters():
        parameter.data.zero_()
    return net.requires_grad_(False)


def test_the_guide_scales_channels_by_the_first_look(network):
    """One channel of z is the first feature over the frame's root mean square, times 1 + that of the target; the rest passes it
    on as it is."""
    network.reduce.weight[0, 0] = 1.0
    network.guide.weight[0, 0] = 2.0
    network.compare[0].weight[0, 0, 1, 1] = 1.0
    network.compare[2].weight[0, 0, 1, 1] = 1.0
    x = torch.tensor([[[3.0, -1.0]], [[1.0, 1.0]]])[None]  # root mean square √3
    found = network(x, torch.tensor([[1.5, 7.0]]), torch.zeros(1, 1, 2))
    root = np.sqrt(3)
    np.testing.assert_allclose(found[0, 0], [(1 + 2 * 1.5 / root) * 3 / root, 0], rtol=1e-5)
    assert network.compare[0].weight.shape[1] == WIDTH + 1


def test_it_follows_the_last_mask_and_an_object_that_is_lost_stays_lost(network):
    """A network that copies the previous mask: the score is where the object was, and after an empty mask nowhere."""
    network.compare[0].weight[0, WIDTH, 1, 1] = 1.0
    network.compare[2].weight[0, 0, 1, 1] = 1.0
    targets = Propagation(WHOLE, network)
    targets.learn(first_frame(torch.tensor([[[2.0, 4.0, 0.0]], [[1.0, 1.0, 1.0]]]), [[1, 1, 0]]), 0)
    assert targets.parts["target"].tolist() == [[3.0, 1.0]], "the mean on the object"
    x = torch.ones(2, 1, 3)
    assert targets.scores(x)[0, 0].tolist() == [1, 1, 0]
    mask = pixels([[0, 1, 0]])
    mask[:, 8:10] = 1
    targets.remember(mask[None])
    assert targets.scores(x)[0, 0].tolist() == [0, 1, 0.5]
    targets.remember(torch.zeros(1, 4, 12))
    assert not targets.scores(x).any()
    targets.remember(torch.zeros(1, 4, 12))
    assert not targets.scores(x).any()


def test_deformed_masks_stay_near_and_now_and_then_one_is_lost():
    mask = np.zeros((80, 120), np.uint8)
    mask[30:50, 40:80] = 1
    rng, lost = np.random.default_rng(0), 0
    for _ in range(200):
        found = deformed(mask, rng)
        if not found.any():
            lost += 1
            continue
        rows, columns = np.nonzero(found)
        assert abs(rows.mean() - 39.5) <= 2 + 1.5 and abs(columns.mean() - 59.5) <= 4 + 1.5, "a tenth of its extent"
        assert 20 * 0.95 - 10 <= np.ptp(rows) + 1 <= 20 * 1.05 + 10
    assert 2 <= lost <= 25
    assert not deformed(np.zeros((8, 8), np.uint8), rng).any()
