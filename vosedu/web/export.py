"""From PyTorch to ONNX: F and R as files, checked against the networks that they were made from."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import asdict, fields
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..config import PRESETS, Config
from ..errors import InputError
from ..features import STRIDES, TARGET_DEPTH, Backbone, fold_batchnorm
from ..refinement import Refinement
from .onnx_form import MAPS, ExportedBackbone, ExportedRefinement

PRECISIONS = ("float16", "float32")
"""In which parameters are stored; both are computed with in float32."""
SMALL = 64
"""Parameters of fewer numbers stay as they are."""
EXAMPLE = (1, 3, 122, 203)
"""Size of the image that the networks are traced with: no power of two, so that no size is taken for a constant."""
TOLERANCE = {"float16": 1e-2, "float32": 1e-3}
"""Greatest difference from PyTorch, as a part of the greatest value."""


class Exported(NamedTuple):
    """One network as the bytes of an ONNX file."""

    name: str
    content: bytes
    error: float = 0.0
    """Greatest difference from PyTorch on the frames it was checked with, as a part of the greatest value."""


def onnx_modules() -> tuple[ModuleType, ModuleType]:
    """The packages onnx and onnxruntime, which nothing else here needs.

    Raises:
        InputError: they are not installed, or PyTorch is too old to export sizes that are free.
    """
    if not hasattr(torch.export.Dim, "DYNAMIC"):
        raise InputError(f"this is PyTorch {torch.__version__}, and exporting needs 2.6: pip install --upgrade "
                         "torch torchvision")
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - PyTorch's exporter imports it
    except ImportError as error:
        raise InputError(f"the package {error.name} is not installed: pip install \"vosedu[web]\"") from None
    return onnx, onnxruntime


def exported(
    backbone: Backbone, refinement: Refinement | None, frames: Sequence[np.ndarray], precision: str = "float16"
) -> list[Exported]:
    """F, and R where there is one, as ONNX files of free sizes, each run and compared.

    Args:
        backbone, refinement: as `weights.load_pretrained` gives them; they are not changed.
        frames: uint8 RGB (H, W, 3) of any sizes, on which ONNX Runtime must agree with PyTorch.
        precision: one of `PRECISIONS`, for the stored parameters.

    Raises:
        InputError: a package is missing, a network cannot be exported, or the file computes something else.
    """
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision '{precision}': choose one of {', '.join(PRECISIONS)}")
    onnx_modules()
    images = [torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255 for frame in frames]
    f = fold_batchnorm(copy.deepcopy(backbone).eval())  # a copied graph is in training mode
    with torch.inference_mode():
        maps = [f(image) for image in images]
    example = torch.rand(EXAMPLE)
    content = stored(traced("F", ExportedBackbone(f), (example,), ("images",), MAPS), precision)
    wanted = [(dict(images=image), dict(zip(MAPS, x, strict=True))) for image, x in zip(images, maps, strict=True)]
    found = [Exported("F", content, compared("F", content, wanted, TOLERANCE[precision]))]
    if refinement is not None:
        r = fold_batchnorm(copy.deepcopy(refinement).eval())
        scores = [torch.randn(n % 3 + 1, *x[TARGET_DEPTH].shape[-2:]) for n, x in enumerate(maps)]
        with torch.inference_mode():
            logits = [r(x, s, image.shape[-2:]) for x, s, image in zip(maps, scores, images, strict=True)]
            x = f(example)
        inputs = ("images", "scores", *MAPS[1:])
        given = example, torch.randn(2, *x[TARGET_DEPTH].shape[-2:]), *x[1:]
        content = stored(traced("R", ExportedRefinement(copy.deepcopy(r)).eval(), given, inputs, ("logits",)), precision)
        wanted = [(dict(zip(inputs, (image, s, *x[1:]), strict=True)), dict(logits=y))
                  for image, s, x, y in zip(images, scores, maps, logits, strict=True)]
        found.append(Exported("R", content, compared("R", content, wanted, TOLERANCE[precision])))
    return found


def traced(
    name: str, network: nn.Module, example: tuple[Tensor, ...], inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    """A network as ONNX, every size of its inputs free but channels, and the batch of what all objects share.

    Raises:
        InputError: PyTorch cannot export it; `name` says which.
    """
    batched = ("images",) if len(inputs) == 1 else ("scores",)
    size = torch.export.Dim.DYNAMIC
    free = tuple({axis: size for axis in range(x.dim()) if (axis != 1 or x.dim() == 3) and (axis or key in batched)}
                 for key, x in zip(inputs, example, strict=True))
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of the exporter's own parts
            program = torch.onnx.export(network, example, dynamo=True, verbose=False, dynamic_shapes=free,
                                        input_names=list(inputs), output_names=list(outputs))
            return program.model_proto.SerializeToString()
    except Exception as error:  # the exporter has no error type of its own for what it cannot do
        reason = str(error).strip().split("\n")[0][:120] or type(error).__name__
        raise InputError(f"{name} cannot be exported ({reason}): give --backbone and --weights of another network") from None
    finally:
        logger.setLevel(level)


def stored(content: bytes, precision: str) -> bytes:
    """An ONNX file with its parameters in float16, cast to float32 when it is loaded; as it was with "float32"."""
    if precision == "float32":
        return content
    onnx, _ = onnx_modules()
    model = onnx.load_from_string(content)
    graph, casts = model.graph, []
    for parameter in graph.initializer:
        value = onnx.numpy_helper.to_array(parameter)
        if value.dtype == np.float32 and value.size >= SMALL and np.abs(value).max() < np.finfo(np.float16).max:
            name = parameter.name
            parameter.CopyFrom(onnx.numpy_helper.from_array(value.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], f"{name}.cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    halves = {f"{cast.output[0]}.half" for cast in casts}
    kept = [value for value in graph.value_info if f"{value.name}.half" not in halves]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    return model.SerializeToString()


def compared(name: str, content: bytes, wanted: Sequence[tuple[dict, dict]], tolerance: float) -> float:
    """Run an ONNX file, and compare; the greatest difference, as a part of an output's greatest value.

    Args:
        name: of the network, for the message.
        content: of the file.
        wanted: inputs and outputs by name, tensors.
        tolerance: of the difference.

    Raises:
        InputError: the file does not run, or computes something else.
    """
    _, onnxruntime = onnx_modules()
    worst = 0.0
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        for given, expected in wanted:
            got = session.run(list(expected), {key: value.numpy() for key, value in given.items()})
            for value, want in zip(got, expected.values(), strict=True):
                if value.shape != tuple(want.shape):
                    raise InputError(f"{name} in ONNX gives {value.shape}, PyTorch {tuple(want.shape)}: it was not written")
                worst = max(worst, float(np.abs(value - want.numpy()).max() / want.abs().max().clamp_min(1e-6)))
    except InputError:
        raise
    except Exception as error:  # onnxruntime's own types are many
        reason = str(error).strip().split("\n")[0][:120]
        raise InputError(f"{name} in ONNX does not run ({reason}): it was not written") from None
    if not worst <= tolerance:
        raise InputError(f"{name} in ONNX differs from PyTorch by {worst:.1e} of its greatest value, and {tolerance:.0e} is "
                         "the most: it was not written; try --precision float32")
    return worst


def described(backbone: Backbone, readout: tuple[float, float], short_side: int) -> dict:
    """What must be known beside the two files: the facts that the page reads, every setting with its range among them."""
    settings = {f.name: {key: f.metadata.get(key) for key in ("low", "high", "choices", "help", "source")}
                for f in fields(Config)}
    presets = {name: asdict(preset) for name, preset in PRESETS.items()}
    return {"settings": settings, "presets": presets, "backbone": backbone.name, "channels": list(backbone.channels),
            "strides": list(STRIDES), "target_depth": TARGET_DEPTH, "readout": list(readout), "short_side": short_side}
