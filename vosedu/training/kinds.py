"""The kinds of training that the command `train` offers. Another one is a subclass of `Training` in a file of its own, and
one line here."""

from .baselines import BaseTraining
from .conv5 import Conv5Training
from .offline import Training
from .tuning import FeatureTuning, JointTraining

KINDS: tuple[type[Training], ...] = (
    Training,
    Conv5Training,
    BaseTraining,
    FeatureTuning,
    JointTraining,
)
