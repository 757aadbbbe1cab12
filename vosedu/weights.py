"""Trained parameters: the bundled file, torchvision's, and the checkpoints of the authors' later release.

Files are safetensors, or pickles that PyTorch's restricted loader accepts; nothing in a file is executed.
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torchvision.models import get_model_weights

from .errors import InputError
from .features import Backbone, architecture, build_backbone
from .files.bundled import bundled
from .refinement import Refinement

BUNDLED = bundled("data/weights") / "compact.safetensors"
BUNDLED_BASE = BUNDLED.with_name("compact-base.safetensors")
"""Table 1's Base net on the features of `BUNDLED`."""
BUNDLED_DV17 = BUNDLED.with_name("compact-dv17.safetensors")
"""An R for the features of `BUNDLED` that learned from DAVIS's training split alone, as in the paper's row "Ours (DV17)"."""
NAMED = {"compact-free": BUNDLED.with_name("compact-free.safetensors")}
"""Bundled files that are asked for by name. compact-free learned from no video (docs/weights.md)."""
State = dict[str, Tensor]


def weights_file(given: Path | str) -> Path:
    """The weights file that is meant: one of `NAMED`, unless a file of that name lies here, or the path itself."""
    path = Path(given)
    return path if path.exists() else NAMED.get(str(given), path)


def read_state(path: Path) -> tuple[State, dict[str, str]]:
    """Tensors and metadata of a weights file (.safetensors, or .pt/.pth read with `weights_only=True`).

    Floating-point tensors come as float32.

    Raises:
        InputError: no such file, not a weights file, one that would need unpickling of arbitrary objects, or NaN in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no weights file at {path}: check the path given to --weights, or give a name: {', '.join(NAMED)}")
    metadata = {}
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of pickle protocols: what cannot be read is refused below, in one line
                state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("model", state) if isinstance(state, dict) else state
    except (SafetensorError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a readable weights file ({_first_line(error)}): download it again") from None
    except Exception as error:
        # torch.load has no error type of its own: UnpicklingError, RuntimeError or anything the pickle provokes.
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise InputError(f"{path} is a pickle that holds more than tensors, which may run code when loaded: refused; "
                             "save its state dict alone") from None
        raise InputError(f"{path} is not a weights file ({_first_line(error)}): give .safetensors, .pt or .pth") from None
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path} does not hold a flat dictionary of tensors: save the network's state_dict()")
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: {key} holds NaN or infinity: the file is damaged or its training diverged")
    return state, metadata


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:120]


def part(state: State, prefix: str) -> State:
    """The tensors whose names begin with `prefix`, which is taken off."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def fill(module: torch.nn.Module, state: State, what: str, path: Path) -> None:
    """Load `state` into the module.

    Raises:
        InputError: names or shapes are another network's; `what` and `path` say which.
    """
    try:
        missing, unexpected = (sorted(names) for names in module.load_state_dict(state, strict=False))
    except RuntimeError as error:
        raise InputError(f"{path}: {what}: {_shape_error(error)}: the file belongs to another network") from None
    if missing:
        raise InputError(f"{path}: {what} lacks {len(missing)} of its parameters, {missing[0]} the first: "
                         "the file belongs to another network")
    if unexpected:
        raise InputError(f"{path}: {what} has no parameter {unexpected[0]}: the file belongs to another network")


def load_pretrained(
    name: str, files: Sequence[Path] = ()
) -> tuple[Backbone, Refinement | None, tuple[float, float] | None]:
    """Backbone, refinement network and D-only readout for a backbone name.

    Args:
        name: one of `vosedu.features.BACKBONES`.
        files: weights files; each may hold a backbone (ours, or torchvision's names), a refinement network (ours, or
            a checkpoint of the authors' later release), or both. Where none holds the backbone, `compact` takes the
            bundled file and a ResNet torchvision's ImageNet weights, from its cache or by download.

    Returns:
        The backbone; R or None where no file holds it; (scale, offset) or None likewise.

    Raises:
        InputError: a file is unusable, or the backbone has no trained weights here; the message says how to get them.
    """
    backbone, refinement, readout, trained = build_backbone(name), None, None, False
    files = list(files)
    kind = architecture(name)
    if kind.source == "bundled" and not files:
        if not BUNDLED.is_file():
            raise InputError(f"the bundled weights are missing at {BUNDLED}: restore data/weights from the repository, "
                             "or give --weights")
        files = [BUNDLED]
    for path in files:
        state, metadata = read_state(path)
        made_for = metadata.get("backbone", name)
        if made_for != name:
            raise InputError(f"{path} was made for the backbone {made_for}, not {name}: give --backbone {made_for}")
        known = False
        for found in (part(state, "backbone."), _torchvision_part(state, backbone)):
            if found:
                fill(backbone.body, found, f"the backbone {name}", path)
                trained = known = True
        for found in (part(state, "refinement."), part(state, "refiner.")):
            if found:
                refinement = Refinement(backbone.channels)
                fill(refinement, found, f"the refinement network for {name}", path)
                known = True
        if "readout" in metadata:
            readout = tuple(json.loads(metadata["readout"]))
        if not known:
            raise InputError(f"{path} holds neither the backbone {name} nor a refinement network: "
                             f"its first parameter is {next(iter(state))}")
    if not trained:
        if kind.source != "torchvision":
            raise InputError(f"no trained weights for the backbone {name}: give its file with --weights")
        backbone.body.load_state_dict(_torchvision_weights(name), strict=False)
    if refinement is not None:
        refinement.eval().requires_grad_(False)
    return backbone, refinement, readout


def load_refinement(path: Path, channels: Sequence[int]) -> Refinement:
    """R from a file that holds one for these channels, ready for inference.

    Raises:
        InputError: it is unusable or belongs to another backbone.
    """
    refinement = Refinement(channels)
    fill(refinement, part(read_state(path)[0], "refinement."), "the refinement network", path)
    return refinement.eval().requires_grad_(False)


def weight_files(name: str, files: Sequence[Path] = ()) -> list[Path]:
    """The files that `load_pretrained(name, files)` takes parameters from, torchvision's cached one included."""
    source = architecture(name).source
    files = list(files) or ([BUNDLED] if source == "bundled" else [])
    in_files = any(part(s, "backbone.") or _torchvision_part(s, None) for s, _ in map(read_state, files))
    if source == "torchvision" and not in_files:
        files.append(_cached(name))
    return files


def _cached(name: str) -> Path:
    """Where torchvision keeps the ImageNet parameters."""
    return Path(torch.hub.get_dir()) / "checkpoints" / get_model_weights(name).IMAGENET1K_V1.url.rsplit("/", 1)[-1]


def _torchvision_part(state: State, backbone: Backbone) -> State:
    """The entries of a torchvision state dict that the five maps need; the classifier's are left out."""
    if "conv1.weight" not in state and "features.0.0.weight" not in state:
        return {}
    dropped = ("fc.", "classifier.", "features.18.")
    return {key: value for key, value in state.items() if not key.startswith(dropped)}


def _torchvision_weights(name: str) -> State:
    """ImageNet parameters by torchvision's own enum: the first release, which is what the paper had."""
    weights = get_model_weights(name).IMAGENET1K_V1
    try:
        return _torchvision_part(weights.get_state_dict(progress=True, check_hash=True), None)
    except Exception as error:  # URLError, a timeout, a wrong hash: whatever it is, the remedy is the same
        file = _cached(name)
        raise InputError(f"the ImageNet weights of {name} could not be fetched ({_first_line(error)}): put "
                         f"{file.name} at {file}, or give it with --weights") from None


def _shape_error(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).split("\n") if "size mismatch" in line]
    return lines[0][:160] if lines else _first_line(error)
