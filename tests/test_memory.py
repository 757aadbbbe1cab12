"""The sample memory against Section 3.4 computed with plain Python lists."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vosedu.loss import NormalForm
from vosedu.memory import Memory, initial_gamma


def form(n, *lead, value=0.0):
    full = torch.full
    return NormalForm(full((n, *lead, 4, 2, 2), value), full((n, *lead, 2, 2), value), full((n, *lead), value))


def make(n=1, samples=3, capacity=6, eta=0.1, first_share=0.0):
    gamma = initial_gamma(n, samples, 2.0, torch.zeros(()))
    projected = -torch.ones(n, samples, 2, 4) * torch.arange(1, samples + 1).view(1, -1, 1, 1)
    return Memory(projected, form(n, samples), gamma, capacity, eta, first_share)


def insert(memory, value, valid=(True,)):
    n = len(valid)
    memory.insert(torch.full((n, 2, 4), float(value)), form(n, value=float(value)), torch.tensor(valid))


def plain(samples, capacity, eta, count):
    """Weights and contents after `count` insertions, as Section 3.4 words it."""
    gamma = [2.0] + [1.0] * (samples - 1)
    gamma = [g / sum(gamma) for g in gamma]
    held, newest = [-float(i) for i in range(1, samples + 1)], eta
    for value in range(1, count + 1):
        if len(gamma) == capacity:
            out = gamma.index(min(gamma))
            del gamma[out], held[out]
        gamma.append(newest / (1 - eta))
        held.append(float(value))
        total = sum(gamma)
        gamma = [g / total for g in gamma]
        newest = gamma[-1]
    return dict(zip(held, gamma, strict=True))


def test_initial_gamma():
    assert torch.allclose(initial_gamma(1, 4, 2.0, torch.zeros(())), torch.tensor([[0.4, 0.2, 0.2, 0.2]]))


@given(samples=st.integers(1, 5), extra=st.integers(1, 6), eta=st.floats(0.01, 0.6), count=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_weights_and_replacement_follow_the_paper(samples, extra, eta, count):
    memory = make(samples=samples, capacity=samples + extra, eta=eta)
    for value in range(1, count + 1):
        insert(memory, value)
    projected, normal, gamma = memory.samples()
    assert gamma.sum().item() == pytest.approx(1, abs=1e-5)
    expected = plain(samples, samples + extra, eta, count)
    found = dict(zip(projected[0, :, 0, 0].tolist(), gamma[0].tolist(), strict=True))
    # equal least weights may be evicted in either order: compare the weights, and contents where weights differ
    assert sorted(found.values()) == pytest.approx(sorted(expected.values()), abs=1e-5)
    newest = [v for v in found if v > 0]
    assert set(newest) == {v for v in expected if v > 0}
    for value in newest:
        assert found[value] == pytest.approx(expected[value], abs=1e-5)
    assert torch.equal(normal.rhs[0, :, 0, 0].clamp_min(0), projected[0, :, 0, 0].clamp_min(0))


def test_the_first_frame_is_evicted_under_the_printed_rule_and_kept_when_protected():
    printed, protected = make(), make(first_share=0.5)
    for value in range(1, 40):
        insert(printed, value)
        insert(protected, value)
    assert (printed.samples()[0] > 0).all()
    assert (protected.samples()[0][0, :3, 0, 0] < 0).all()
    gamma = protected.samples()[2][0]
    assert gamma[:3].sum().item() == pytest.approx(0.5, abs=1e-5) and gamma.sum().item() == pytest.approx(1, abs=1e-5)
    assert gamma[0].item() == pytest.approx(2 * gamma[1].item(), rel=1e-4)


def test_newer_samples_weigh_more_by_one_over_one_minus_eta():
    memory = make(capacity=20, eta=0.2)
    for value in range(1, 6):
        insert(memory, value)
    gamma = memory.samples()[2][0, 3:]
    assert torch.allclose(gamma[1:] / gamma[:-1], torch.full((4,), 1 / 0.8), rtol=1e-4)


def test_an_invalid_object_is_left_alone():
    memory = make(n=2)
    insert(memory, 7, valid=(True, False))
    _, _, gamma = memory.samples()
    assert memory.projected[0, 3, 0, 0] == 7 and memory.projected[1, 3, 0, 0] == 0
    assert gamma[1, 3] == 0 and gamma[1].sum().item() == pytest.approx(1)
    insert(memory, 8, valid=(True, True))
    assert memory.projected[1, 3, 0, 0] == 8  # the slot was still free


def test_append_takes_over_objects_and_memory_stays_bounded():
    memory = make()
    for value in range(1, 4):
        insert(memory, value)
    memory.append(make())
    assert memory.samples()[2].shape == (2, 6)
    before = memory.projected.data_ptr(), memory.projected.shape
    for value in range(100):
        insert(memory, value, valid=(True, True))
    assert (memory.projected.data_ptr(), memory.projected.shape) == before
    assert torch.allclose(memory.samples()[2].sum(1), torch.ones(2), atol=1e-5)
