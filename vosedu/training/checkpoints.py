"""What trainings write: checkpoints, and weights files; whole, and one line where a checkpoint is damaged."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch

from ..errors import InputError
from ..files.whole import write_bytes


def serialise(content: dict) -> bytes:
    """The bytes that `torch.save` would write. Writing them is another step, so that a full disk is an OSError, not
    PyTorch's own error."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@contextmanager
def reading_checkpoint(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged checkpoint of a training raises into one line.

    Raises:
        InputError: in place of any other error; `torch.load` has no error type of its own.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}): delete it to begin again") from None


def save_weights(
    path: Path, backbone: str, parts: dict[str, torch.nn.Module], readout: tuple[float, float] | None = None, **notes: str
) -> None:
    """Write a weights file, float16, whole or not at all.

    Args:
        path: .safetensors.
        backbone: its name; the file is refused with another.
        parts: networks by what `load_pretrained` looks for: "backbone" (its body), "refinement"; or "base".
        readout: of D alone.
        notes: further metadata.
    """
    state = {f"{name}.{key}": value for name, module in parts.items() for key, value in module.state_dict().items()}
    metadata = {"backbone": backbone, **notes}
    if readout is not None:
        metadata["readout"] = json.dumps(list(readout))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, packed(state, metadata))


def packed(state: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """The bytes of a weights file (.safetensors), floating-point numbers as float16."""
    state = {key: (v.half() if v.is_floating_point() else v).cpu().contiguous() for key, v in state.items()}
    return safetensors.torch.save(state, metadata)
