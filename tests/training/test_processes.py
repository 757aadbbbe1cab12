"""Several processes: batch normalisation over all of them is that of the joined batch."""

import threading

import pytest
import torch
from torch import nn

from vosedu.training import processes
from vosedu.training.processes import SharedBatchNorm, mean_over_processes, place, share_batchnorm


class Meeting:
    """Two threads in place of two processes: a sum that is differentiable, as the one over processes is."""

    def __init__(self):
        self.barrier, self.parts = threading.Barrier(2, timeout=60), [None, None]

    def all_reduce(self, x):
        self.parts[int(threading.current_thread().name)] = x
        self.barrier.wait()
        total = self.parts[0] + self.parts[1]
        self.barrier.wait()
        return total

    def run(self, work):
        """work(0) and work(1), each in its thread."""
        found = [None, None]

        def one(n):
            found[n] = work(n)

        threads = [threading.Thread(target=one, args=(n,), name=str(n)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


@pytest.fixture
def meeting(monkeypatch):
    meeting = Meeting()
    monkeypatch.setattr(processes, "all_reduce", meeting.all_reduce)
    monkeypatch.setattr(processes.dist, "get_world_size", lambda: 2)
    return meeting


def norms(kind):
    """Two copies of one norm with parameters and statistics of its own."""
    norm = kind(3, eps=1e-3, momentum=0.2)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1.5, -2.0]))
        norm.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
        norm.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.running_var.copy_(torch.tensor([0.3, 0.2, 0.1]))
    return norm


def test_shared_batchnorm_is_batchnorm_of_the_joined_batch(meeting):
    """Outputs, gradients of maps and parameters, running statistics; the two processes have batches of different sizes."""
    g = torch.Generator().manual_seed(0)
    whole = torch.randn(5, 3, 4, 6, generator=g) * torch.tensor([1.0, 4.0, 0.5]).view(3, 1, 1) + 7
    weights = torch.randn(5, 3, 4, 6, generator=g)
    usual, joined = norms(nn.BatchNorm2d), whole.clone().requires_grad_()
    expected = usual(joined)
    (expected * weights).sum().backward()

    shared, pieces = [norms(SharedBatchNorm), norms(SharedBatchNorm)], [whole[:2].clone(), whole[2:].clone()]
    for piece in pieces:
        piece.requires_grad_()
    found = meeting.run(lambda n: shared[n](pieces[n]))
    torch.testing.assert_close(torch.cat(found), expected, atol=2e-5, rtol=1e-5)
    (torch.cat(found) * weights).sum().backward()
    torch.testing.assert_close(torch.cat([piece.grad for piece in pieces]), joined.grad, atol=2e-5, rtol=1e-4)
    for name in ("weight", "bias"):
        total = getattr(shared[0], name).grad + getattr(shared[1], name).grad
        torch.testing.assert_close(total, getattr(usual, name).grad, atol=1e-4, rtol=1e-4)
    for norm in shared:
        torch.testing.assert_close(norm.running_mean, usual.running_mean)
        torch.testing.assert_close(norm.running_var, usual.running_var)
        assert norm.num_batches_tracked == 1


def test_statistics_of_bfloat16_maps_are_float32(meeting):
    whole = torch.randn(4, 3, 40, 70, generator=torch.Generator().manual_seed(1)) + 3
    maps, shared = whole.bfloat16(), [norms(SharedBatchNorm), norms(SharedBatchNorm)]
    found = torch.cat(meeting.run(lambda n: shared[n](maps[2 * n : 2 * n + 2])))
    usual = norms(nn.BatchNorm2d)
    expected = usual(maps.float())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.01)
    torch.testing.assert_close(shared[0].running_mean, usual.running_mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shared[0].running_var, usual.running_var, atol=1e-5, rtol=1e-5)


def test_in_evaluation_the_running_statistics_count(meeting):
    norm, x = norms(SharedBatchNorm).eval(), torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(norm(x), norms(nn.BatchNorm2d).eval()(x))


def test_every_norm_is_shared_and_keeps_what_it_has():
    network = nn.Sequential(nn.Conv2d(2, 3, 1), norms(nn.BatchNorm2d), nn.Sequential(nn.ReLU(), norms(nn.BatchNorm2d)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    shared = share_batchnorm(network)
    norm = shared[2][1]
    assert isinstance(shared[1], SharedBatchNorm) and isinstance(norm, SharedBatchNorm)
    assert (norm.eps, norm.momentum) == (1e-3, 0.2)
    assert all(torch.equal(value, before[name]) for name, value in shared.state_dict().items())


def test_one_process_is_alone(monkeypatch):
    assert place() == (0, 1)
    value = torch.tensor(3.0)
    assert mean_over_processes(value) == 3.0
    monkeypatch.setattr(processes.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(processes.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(processes.dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(processes.dist, "all_reduce", lambda x: x.add_(7))
    assert place() == (1, 4) and mean_over_processes(torch.tensor(3.0)) == 2.5
