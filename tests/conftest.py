"""What tests share: engines, and real data where VOSEDU_DATA points to it."""

import os
from pathlib import Path

import pytest
import torch

from vosedu.features import build_backbone
from vosedu.segmenter import Segmenter


@pytest.fixture(scope="session")
def segmenter():
    """The bundled backbone with the target model alone, on the CPU."""
    return Segmenter.from_pretrained("compact", device="cpu")


@pytest.fixture(scope="session")
def random_segmenter():
    """A backbone with random parameters: for everything that does not depend on what the features mean."""
    torch.manual_seed(0)
    return Segmenter(build_backbone("compact"), device="cpu")


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data, from VOSEDU_DATA; tests that need it are skipped where it is not there."""
    folder = os.environ.get("VOSEDU_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data: set VOSEDU_DATA to a folder with davis2016/")
    return Path(folder)
