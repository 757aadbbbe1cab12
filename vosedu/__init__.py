"""vosedu: discriminative online learning for fast video object segmentation (Robinson et al. 2019)."""

from .config import BEST, FAST, PAPER, Config
from .errors import InputError
from .segmenter import Segmenter, Video

__version__ = "0.1.0"
__all__ = ["BEST", "FAST", "PAPER", "Config", "InputError", "Segmenter", "Video"]
