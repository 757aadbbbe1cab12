"""What the notebooks show and ask: a module per notebook, of its name, with its widgets and its exercises."""

import importlib
import sys

from ..beyond.waiting import wait_quietly

NOTEBOOKS = ("tour", "features", "weighted_l2_loss", "gauss_newton_cg", "augmentation", "refinement", "inference_and_updating",
             "offline_training", "evaluation", "your_own_video", "your_engine", "the_field")

wait_quietly()  # before PyTorch is imported
for _name in ("torch", "matplotlib", "ipywidgets", "anywidget"):
    try:
        importlib.import_module(_name)
    except ImportError as _error:
        raise ImportError(
            f"{_name} cannot be imported in this kernel ({_error}). This notebook runs in {sys.executable}; choose the kernel "
            "of the environment in which vosedu is installed (menu Kernel, Change Kernel). Where it is not listed, run there: "
            "python -m ipykernel install --user --name vosedu"
        ) from None
