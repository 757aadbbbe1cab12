"""Every number of Section 3.5, and our named departures from the paper, as one frozen dataclass.

Command-line flags and widget ranges are made from these fields; a help text here is the help text there.
"""

from dataclasses import asdict, dataclass, field, fields, replace

from .errors import InputError


def _number(default: float, low: float, high: float, help: str, source: str):
    return field(default=default, metadata={"low": low, "high": high, "help": help, "source": source})


def _choice(default: str, choices: tuple[str, ...], help: str, source: str):
    return field(default=default, metadata={"choices": choices, "help": help, "source": source})


@dataclass(frozen=True)
class Config:
    """Settings of one run. The defaults are the preset PAPER.

    `describe()` lists each field with its range and where it comes from.

    Raises:
        InputError: a value lies outside its range.
    """

    channels: int = _number(96, 1, 1024, "output channels c of the projection w1", "3.5")
    samples: int = _number(20, 1, 200, "first-frame samples: the original and augmented copies", "3.5")
    first_weight: float = _number(2.0, 0.01, 100.0, "weight of the original among the first-frame samples", "3.1")
    gn_steps: int = _number(5, 1, 50, "Gauss-Newton steps on the first frame, N_GN", "3.5")
    cg_first: int = _number(5, 1, 500, "CG iterations in the first of them, N_CGi", "3.5")
    cg_later: int = _number(10, 1, 500, "CG iterations in the others, N_CG", "3.5")
    cg_update: int = _number(10, 0, 500, "CG iterations of an update, N_CGu; 0: never update", "3.5")
    update_every: int = _number(8, 1, 10000, "frames between updates, t_s", "3.5")
    learning_rate: float = _number(0.1, 0.001, 0.9, "how much newer samples outweigh older ones, eta", "3.4")
    capacity: int = _number(80, 2, 1000, "most samples in memory, K_max", "3.4")
    target_share: float = _number(0.1, 0.001, 0.999, "the target's share of the loss, kappa_min", "3.1, eq. 4")
    share_rule: str = _choice("max", ("max", "min"), "kappa = max (intended) or min (printed) of kappa_min and the "
                              "target's share of the image", "eq. 4, printed min")
    weight_power: str = _choice("root", ("root", "printed"), "v as the square root of eq. 4, so that the target's share "
                                "of the loss is kappa, or as printed", "eqs. 2 and 4")
    projection_decay: float = _number(1e-4, 0.0, 1e6, "lambda_1, regularisation of the projection", "eq. 2, value ours")
    filter_decay: float = _number(1e-2, 0.0, 1e6, "lambda_2, regularisation of the filter", "eq. 2, value ours")
    start_scale: float = _number(1.0, 1e-4, 10.0, "Kaiming normal's standard deviations are multiplied by this: what the "
                                 "start holds in directions that no sample shows is never unlearned", "ours; the paper has 1")
    conditioning: str = _choice("none", ("none", "scale", "whiten"), "features as they are, scaled to unit RMS, or "
                                "whitened with the first-frame samples' mean and covariance", "ours")
    shrinkage: float = _number(0.1, 0.0, 100.0, "whitening: this part of the mean variance is added to every variance",
                               "ours")
    first_share: float = _number(0.0, 0.0, 0.99, "least share of the memory's weight that first-frame samples keep; "
                                 "above 0 they are never evicted", "ours; the paper has 0")
    window_share: float = _number(0.0, 0.0, 0.5, "an object is looked at through a window of which it covers this part; 0: the "
                                  "whole frame always", "ours; the paper has 0")
    window_zoom: float = _number(3.0, 1.0, 8.0, "greatest zoom of such a window", "ours")
    window_joint: float = _number(1.0, 1.0, 8.0, "objects look through one window where it is at most so many times as high as "
                                  "their own", "ours")
    window_room: float = _number(0.0, 0.0, 8.0, "R is asked about each object within so many times its box, on a CPU; "
                                 "0: in all of the window", "ours; the paper has 0")
    leap: float = _number(0.0, 0.0, 8.0, "while a target is seen where it was, a large part of its mask may lie so far from "
                          "the last mask, in square roots of its area; 0: anywhere", "ours; the paper has 0")
    nearest: float = _number(0.0, 0.0, 0.9, "share of what R reads that comes from the remembered cells that a position is "
                             "most like, with the backbone compact; the rest is D's", "ours; the paper has 0")
    min_pixels: int = _number(10, 0, 100000, "an object with fewer predicted pixels is not learned from", "authors' code")
    aggregation: str = _choice("softmax", ("softmax", "min"), "background as the product of (1 - p), then a softmax over "
                               "log-odds; or the least (1 - p), then a softmax over odds", "3.4; min: authors' code")

    def __post_init__(self):
        for f in fields(self):
            value = getattr(self, f.name)
            if "choices" in f.metadata:
                if value not in f.metadata["choices"]:
                    raise InputError(f"{f.name} is '{value}': choose one of {', '.join(f.metadata['choices'])}")
            elif isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputError(f"{f.name} is {value!r}: give a number")
            elif f.type is int and value != int(value):
                raise InputError(f"{f.name} is {value}: give a whole number")
            elif not f.metadata["low"] <= value <= f.metadata["high"]:
                raise InputError(f"{f.name} is {value}: give a value from {f.metadata['low']} to {f.metadata['high']}")
        if self.capacity <= self.samples:
            raise InputError(f"capacity is {self.capacity}: it must exceed the {self.samples} first-frame samples")

    def gn_schedule(self) -> list[int]:
        """CG iterations of each Gauss-Newton step on the first frame."""
        return [self.cg_first] + [self.cg_later] * (self.gn_steps - 1)


PAPER = Config()
"""Ours, as the paper means it."""
FAST = replace(PAPER, channels=32, update_every=16, gn_steps=4, cg_update=5)
"""Ours (fast), Section 3.5."""
WHOLE = replace(
    PAPER, conditioning="scale", start_scale=0.1, projection_decay=1000.0, filter_decay=1000.0, first_share=0.5
)
"""The paper's method with the numbers that measured better, each a named field (docs/presets.md): what the notebooks show."""

BEST = replace(WHOLE, window_share=0.06, window_joint=1.3, window_room=2.0, leap=0.1, nearest=0.3)
"""The default: WHOLE, windows (`beyond.window`), no leaps (`beyond.leaps`), remembered cells (`beyond.nearest`)."""

PRESETS = {"best": BEST, "whole": WHOLE, "paper": PAPER, "fast": FAST}


def describe() -> str:
    """A table of every setting: name, the presets' values, source, meaning."""
    names = ("paper", "fast", "whole", "best")
    rows = [f"{'setting':<17}" + "".join(f"{name:>9}" for name in names) + "  source, meaning"]
    for f in fields(Config):
        values = "".join(f"{getattr(p, f.name)!s:>9}" for p in map(PRESETS.get, names))
        rows.append(f"{f.name:<17}{values}  {f.metadata['source']}: {f.metadata['help']}")
    return "\n".join(rows)


def departures(config: Config) -> dict:
    """The fields in which a configuration departs from PAPER and which FAST does not set itself."""
    paper, fast = asdict(PAPER), asdict(FAST)
    return {name: value for name, value in asdict(config).items() if value != paper[name] and fast[name] == paper[name]}
