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
    found = initial_gamma(2, 4, 2.0, torch.zeros((), dtype=torch.float64))
    assert torch.allclose(found, torch.tensor([[0.4, 0.2, 0.2, 0.2]] * 2, dtype=torch.float64))
    assert initial_gamma(1, 3, 6.0, torch.zeros(()))[0].tolist() == pytest.approx([0.75, 0.125, 0.125])


def random_sample(n, seed):
    """Projected features (N, 2, 6) and normal forms of maps (2, 3), all numbers different."""
    g = torch.Generator().manual_seed(seed)
    parts = [torch.rand(n, *shape, generator=g) + 1 for shape in ((2, 6), (4, 2, 3), (2, 3), ())]
    return parts[0], NormalForm(*parts[1:])


def room_of(n, first=2, capacity=5, seed=0, **options):
    """A memory whose first-frame samples are all different."""
    samples = [random_sample(n, 100 * seed + k) for k in range(first)]
    projected, normal = torch.stack([x for x, _ in samples], 1), NormalForm(*(torch.stack(parts, 1) for parts in zip(
        *(form for _, form in samples), strict=True)))
    return Memory(projected, normal, initial_gamma(n, first, 2.0, projected), capacity, **options)


def test_a_sample_is_stored_whole_and_per_object():
    """Features, stencil, right-hand side and constant of every object, in the free slot; what was there before stays."""
    memory, (projected, normal) = room_of(3), random_sample(3, 7)
    before = [part.clone() for part in (memory.projected, *memory.normal)]
    memory.insert(projected, normal, torch.tensor([True, False, True]))
    for room, part, was in zip((memory.projected, *memory.normal), (projected, *normal), before, strict=True):
        assert torch.equal(room[0, 2], part[0]) and torch.equal(room[2, 2], part[2])
        assert torch.equal(room[1], was[1]) and torch.equal(room[:, :2], was[:, :2]) and not room[:, 3:].any()
    held, forms, gamma = memory.samples()
    assert held.shape[:2] == forms.stencil.shape[:2] == forms.rhs.shape[:2] == forms.constant.shape == gamma.shape == (3, 3)


def test_frames_without_an_object_do_not_make_its_next_sample_heavier():
    """An object that is away for five frames has, when it returns, the memory that it would have without those frames."""
    away, steady = room_of(2, capacity=9), room_of(2, capacity=9)
    for t in range(9):
        sample = random_sample(2, 50 + t)
        away.insert(*sample, torch.tensor([True, not 2 <= t < 7]))
        if not 2 <= t < 7:
            steady.insert(*sample, torch.tensor([True, True]))
    there = away.gamma[1] > 0
    assert torch.equal(away.gamma[1][there], steady.gamma[1][steady.gamma[1] > 0]) and there.sum() == 2 + 4
    assert torch.equal(away.newest[1], steady.newest[1]) and not torch.equal(away.newest[0], steady.newest[0])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_the_first_frame_by_hand(share):
    """After every insertion: if its samples have less than their share, both groups are scaled to it and the rest."""
    memory = room_of(1, first=2, capacity=4, first_share=share, learning_rate=0.3)
    first, rest, newest = [2 / 3, 1 / 3], [], 0.3
    for t in range(7):
        memory.insert(*random_sample(1, t), torch.tensor([True]))
        if len(rest) == 2:
            rest.remove(min(rest))
        rest.append(newest / 0.7)
        total = sum(first) + sum(rest)
        first, rest = [g / total for g in first], [g / total for g in rest]
        kept, has = max(share, sum(first)), sum(first)
        first, rest = [g * kept / has for g in first], [g * (1 - kept) / (1 - has) for g in rest]
        newest = rest[-1]
        assert memory.gamma[0, :2].tolist() == pytest.approx(first, abs=1e-5)
        assert sorted(memory.gamma[0, 2 : 2 + len(rest)].tolist()) == pytest.approx(sorted(rest), abs=1e-5)


def test_appended_objects_go_on_as_if_alone():
    """Samples, weights and the weight that comes next of each; the fuller of the two says how many slots are in use."""
    one, other, alone = room_of(2, seed=1), room_of(1, seed=2), room_of(1, seed=2)
    for t in range(5):
        one.insert(*random_sample(2, t), torch.tensor([True, True]))
    assert abs(one.newest[0] - other.newest[0]) > 1e-3, "samples were overwritten, so the next weight is another"
    first = [part.clone() for part in (one.projected, *one.normal, one.gamma)]
    one.append(other)
    assert one.filled == 5
    for room, mine, its in zip((one.projected, *one.normal, one.gamma), first,
                               (other.projected, *other.normal, other.gamma), strict=True):
        assert torch.equal(room[:2], mine) and torch.equal(room[2:], its)
    for t in range(5, 12):
        projected, normal = random_sample(3, t)
        one.insert(projected, normal, torch.tensor([True, False, True]))
        alone.insert(projected[2:], NormalForm(*(part[2:] for part in normal)), torch.tensor([True]))
    assert torch.equal(one.gamma[1], first[-1][1])
    for mine, its in zip((one.projected, *one.normal, one.gamma, one.newest),
                         (alone.projected, *alone.normal, alone.gamma, alone.newest), strict=True):
        assert torch.equal(mine[2:], its)


def test_a_memory_of_its_state_goes_on_as_the_one_it_was_taken_from():
    """Empty slots, the protected first frame and the next weight included."""
    memory = room_of(2, capacity=6, first_share=0.4, learning_rate=0.2)
    for t in range(2):
        memory.insert(*random_sample(2, t), torch.tensor([True, t > 0]))
    state = {name: part.clone() for name, part in memory.state().items()}
    assert state["projected"].shape[1] == 4
    other = Memory.from_state(state, 6, 0.2, 0.4)
    for t in range(5, 12):
        for each in (memory, other):
            each.insert(*random_sample(2, t), torch.tensor([t % 2 > 0, True]))
        assert memory.filled == other.filled and memory.first == other.first
        for mine, its in zip((memory.projected, *memory.normal, memory.gamma, memory.newest),
                             (other.projected, *other.normal, other.gamma, other.newest), strict=True):
            assert torch.equal(mine, its)


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
