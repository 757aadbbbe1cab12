"""Several processes train one network: batch normalisation over all of them, joining and leaving (torchrun)."""

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes' batches; PyTorch's own SyncBatchNorm is for GPUs alone.

    Statistics are float32 where the maps are bfloat16, as in PyTorch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of this process -> the same, normalised over the batches of all; B may differ between processes."""
        if not self.training or dist.get_world_size() == 1:
            return super().forward(x)
        precision, x = x.dtype, x.float()
        count = torch.tensor([x.numel() / x.shape[1]], dtype=x.dtype, device=x.device)
        total = all_reduce(torch.cat([x.sum((0, 2, 3)), count]))
        mean = (total[:-1] / total[-1]).view(1, -1, 1, 1)
        # a second reduction, for squares less the square of the mean would lose digits
        variance = (all_reduce((x - mean).square().sum((0, 2, 3))) / total[-1]).view(1, -1, 1, 1)
        with torch.no_grad():
            unbiased = variance.flatten() * (total[-1] / (total[-1] - 1))
            self.running_mean.lerp_(mean.flatten(), self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked += 1
        normal = (x - mean) * (variance + self.eps).rsqrt()
        return (normal * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(precision)


def share_batchnorm(module: nn.Module) -> nn.Module:
    """Put `SharedBatchNorm` in the place of every BatchNorm2d below a module, parameters and statistics kept.

    Returns:
        The module, changed in place.
    """
    for key, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(module, key, shared)
        else:
            share_batchnorm(child)
    return module


def place() -> tuple[int, int]:
    """Which of the processes this is, counted from 0, and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a number over all processes; it is changed in place."""
    if place()[1] > 1:
        dist.all_reduce(value)
        value /= place()[1]
    return value


def join_processes(device: torch.device) -> bool:
    """Join the other processes where torchrun started this one; False where it did not."""
    if "RANK" not in os.environ:
        return False
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return True


def leave_processes() -> None:
    """Wait for all processes, then leave their group: one that left early would break the connections of the others."""
    dist.barrier()
    dist.destroy_process_group()
