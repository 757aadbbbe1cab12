"""PyTorch's threads sleep while they wait, unless the user has said how they wait."""

import os
import subprocess
import sys

import pytest

from vosedu.beyond.waiting import OTHERS, SETTINGS, wait_quietly

COMMAND = "from vosedu.commands import main; main(['settings'])"
NOTEBOOK = "import vosedu.teaching"
OURS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}


def begun(code, **own):
    """What a fresh Python says that does `code` and then uses two of PyTorch's threads: its variables, OpenMP's on stderr."""
    names = (*SETTINGS, *OTHERS)
    show = f"print({{n: os.environ[n] for n in {names} if n in os.environ}})"
    code = f"import os; {code}\nimport torch; torch.ones(10**6).sum(); {show}"
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**environment, "OMP_DISPLAY_ENV": "verbose", **own})


@pytest.mark.parametrize("code", [COMMAND, NOTEBOOK])
def test_a_command_and_a_notebook_have_threads_that_sleep(code):
    """And OpenMP, which reads its variables when PyTorch is imported, has heard of it."""
    done = begun(code)
    assert done.stdout.splitlines()[-1] == str(OURS)
    said = {line.split("=")[0].split()[-1]: line.split("=")[1].strip(" '") for line in done.stderr.splitlines() if "=" in line}
    assert said["OMP_WAIT_POLICY"] == "PASSIVE"
    assert said.get("GOMP_SPINCOUNT", "1000") == "1000"


@pytest.mark.parametrize("own", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "20"}])
@pytest.mark.parametrize("code", [COMMAND, NOTEBOOK])
def test_what_the_user_has_set_stands(code, own):
    assert begun(code, **own).stdout.splitlines()[-1] == str(own)


def test_where_pytorch_is_there_already_nothing_is_set():
    """It would change nothing but other programs that are started from here."""
    assert begun(f"import torch; {COMMAND}").stdout.splitlines()[-1] == "{}"
    for loaded, kept in ((True, {}), (False, OURS)):
        environment = {}
        assert wait_quietly(environment, loaded) is not loaded and environment == kept
