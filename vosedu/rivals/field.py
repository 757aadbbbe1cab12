"""The families by name, and what the paper's tables say of the methods that they stand for."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from ..config import Config
from ..protocols import Targets
from ..target_model import OnlineTargets
from ..weights import BUNDLED, fill, part, read_state
from .discriminative import CrossEntropy, Descent, Logistic, Ridge
from .family import calibrated
from .generative import Generative
from .matching import LocalMatching, Matching
from .propagation import Propagation, Propagator


class Figure(NamedTuple):
    """A method's row in the paper's Table 3: per cent on the validation sets, and frames per second on its own hardware."""

    method: str
    jf_2017: float | None
    j_2016: float | None
    fps: float
    features: str
    """Backbone, and training data beside DAVIS; docs/field.md says where each is from. "" where it has no family here."""

    @property
    def named(self) -> str:
        """The method with what it was made of."""
        return f"{self.method} ({self.features})" if self.features else self.method


FIGURES = {
    "D": Figure("Ours", 73.4, 85.0, 14.6, "ResNet-101; YouTube-VOS"),
    "D on DAVIS alone": Figure("Ours (DV17)", 67.5, 82.7, 14.6, "ResNet-101"),
    "VM": Figure("VM", None, 81.0, 8.33, "ResNet-101"),
    "FEELVOS": Figure("FEELVOS", 71.5, 81.1, 2.22, "Xception-65; COCO, YouTube-VOS"),
    "AGAME": Figure("AGAME", 70.0, 82.0, 14.3, "ResNet-101; YouTube-VOS"),
    "RGMP": Figure("RGMP", 66.7, 81.5, 7.7, "ResNet-50; photographs with masks"),
    "OSNM": Figure("OSNM", 54.8, 74.0, 7.14, "VGG-16; COCO"),
    "OSVOS-S": Figure("OSVOS-S", 68.0, 85.6, 0.22, "VGG-16; PASCAL VOC, COCO"),
    "OnAVOS": Figure("OnAVOS", 67.9, 86.1, 0.08, "ResNet-38; COCO, PASCAL VOC"),
    "FAVOS": Figure("FAVOS", 58.2, 82.4, 0.56, ""),
    "PReMVOS": Figure("PReMVOS", 77.8, 84.9, 0.03, ""),
    "MGCRN": Figure("MGCRN", None, 84.4, 1.37, ""),
    "CINM": Figure("CINM", 67.5, 84.2, 0.00, ""),
}
"""Table 3 of Robinson et al. 2019."""


ATTRIBUTES = {
    "turning": ("tumble",),
    "look-alikes": ("lookalikes", "flock"),
    "occlusion": ("hidden", "huddle"),
    "light and scale": ("shadow",),
    "fast motion": ("fast",),
    "thin": ("thin",),
}
"""What is hard in each bundled scene (docs/scenes.md)."""


BUNDLED_FIELD = BUNDLED.with_name("compact-field.safetensors")
"""Propagation network and readouts on the features of `BUNDLED`."""
FIELD, REFINED = "field.safetensors", "R-{}.safetensors"
"""Names of what it writes: network and readouts; R of a family."""


def refined(folder: Path, family: str) -> Path:
    """Where R of a family lies."""
    return folder / REFINED.format(family.replace(" ", "-"))


class Learned(NamedTuple):
    """What was learned offline, `BUNDLED_FIELD` or a file of the command `rivals`."""

    propagator: Propagator
    readouts: dict[str, tuple[float, float]]
    """Family -> scale and offset."""


def load_learned(path: Path, channels: int, device: torch.device | str = "cpu") -> Learned:
    """From a file.

    Args:
        path: of the file.
        channels: of conv4_x.
        device: where the engine works; the propagation network has to be there too.

    Raises:
        InputError: it is unusable or belongs to another backbone.
    """
    state, _ = read_state(path)
    network = Propagator(channels)
    fill(network, part(state, "propagation."), "the propagation network", path)
    readouts = {name: tuple(pair.tolist()) for name, pair in part(state, "readout.").items()}
    return Learned(network.to(device).eval().requires_grad_(False), readouts)


class Row(NamedTuple):
    """A family of the table."""

    make: Callable[[Config], Targets]
    represents: str
    """The row of `FIGURES` that it stands for; "" for none."""
    scaled: bool = False
    """Whether its scores have D's scale as they are: it was learned towards 0 and 1, or through D's own readout."""


def families(learned: Learned) -> dict[str, Row]:
    """Every family that is a target model, in the order of the table, on its own scale."""
    return {
        "D": Row(OnlineTargets, "D", scaled=True),
        "matching": Row(Matching, "VM"),
        "nearest": Row(partial(Matching, k=1), "VM"),
        "local matching": Row(LocalMatching, "FEELVOS"),
        "generative": Row(Generative, "AGAME"),
        "propagation": Row(partial(Propagation, network=learned.propagator), "OSNM", scaled=True),
        "cross-entropy": Row(CrossEntropy, "", scaled=True),
        "cross-entropy SGD": Row(Descent, "", scaled=True),
        "ridge": Row(Ridge, "", scaled=True),
        "logistic": Row(Logistic, "", scaled=True),
    }


def ready(learned: Learned) -> dict[str, Row]:
    """The same with their scores brought to D's scale, where a readout was learned."""
    return {name: row._replace(make=calibrated(row.make, *learned.readouts[name])) if name in learned.readouts else row
            for name, row in families(learned).items()}
