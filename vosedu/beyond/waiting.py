"""How PyTorch's threads wait for one another on a machine that others use too (docs/speed.md).

Between two operations OpenMP's threads spin, so that the next begins at once. Where another program wants a core, a thread
spins on it in vain while the one that it waits for has none. So they spin for a few microseconds here, then sleep.
"""

import os
import sys
from collections.abc import MutableMapping

SETTINGS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
"""The first for every OpenMP; the second gives GCC's, which PyTorch has on Linux, those microseconds back."""
OTHERS = ("KMP_BLOCKTIME", "KMP_LIBRARY")
"""What else says it, to other makers' OpenMP."""


def wait_quietly(environment: MutableMapping[str, str] = os.environ, loaded: bool | None = None) -> bool:
    """Have PyTorch's threads sleep while they wait; what the user has set stands, all of it.

    Args:
        environment: of this process; OpenMP reads it once, when PyTorch is imported.
        loaded: whether that is over; where left out, it is looked up.

    Returns:
        Whether it was set here.
    """
    loaded = "torch" in sys.modules if loaded is None else loaded
    if loaded or any(name in environment for name in (*SETTINGS, *OTHERS)):
        return False
    environment.update(SETTINGS)
    return True
