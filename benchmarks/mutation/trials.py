"""Tests on a changed module: in a copy of the checkout, in a process forked from one that has imported PyTorch before.

The checkout is never written to. A process that is killed leaves a folder of temporary files and nothing else.
"""

import ast
import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from py_compile import PycInvalidationMode

PACKAGE = "vosedu"
MEMORY = 8 << 30
"""Bytes that a trial may allocate: some mutants ask for all there is."""


@dataclass
class Trial:
    """One run of tests, on the package as it is or with one module changed."""

    tests: list[Path]
    module: str = ""
    """The one that is changed, if any, and its code."""
    code: str = ""
    first: list[str] = field(default_factory=list)
    """Node ids of tests in the order to run; others come after."""
    seconds: int = 1800
    """After so long it counts as not ending."""
    label: object = None
    """Whatever the caller wants back."""


class Watch:
    """A plugin for pytest: the first test that fails; the seconds of each, and which functions of the package it enters.

    Args:
        package: its folder.
        order: node ids of the tests to begin with.
        traced: look for functions.
    """

    def __init__(self, package: Path, order: list[str], traced: bool):
        self.package, self.place, self.traced = f"{package}{os.sep}", {node: k for k, node in enumerate(order)}, traced
        self.found: dict = {"failed": None, "tests": {}}

    def pytest_collection_modifyitems(self, items: list) -> None:
        """The likely killers first."""
        items.sort(key=lambda item: self.place.get(item.nodeid, len(self.place)))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        entered: set[tuple[str, int]] = set()

        def trace(frame, event, arg) -> None:
            if frame.f_code.co_filename.startswith(self.package):
                entered.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

        self.start, self.entered = time.perf_counter(), entered
        if self.traced:
            sys.settrace(trace)
            threading.settrace(trace)

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed and not self.found["failed"]:
            self.found["failed"] = report.nodeid

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        sys.settrace(None)
        threading.settrace(None)
        entered = sorted((file.removeprefix(self.package), line) for file, line in self.entered)
        self.found["tests"][nodeid] = [time.perf_counter() - self.start, entered]


def preload(root: Path) -> None:
    """Import what the package and its tests import from elsewhere, once for all trials."""
    texts = [path.read_text(encoding="utf-8") for part in (PACKAGE, "tests") for path in (root / part).rglob("*.py")]
    own = {path.stem for folder in (root, root / "tests") for path in folder.iterdir()}  # they import the package unchanged
    for node in (node for text in texts for node in ast.parse(text).body):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            if name.split(".")[0] not in own:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
    pytest = importlib.import_module("pytest")
    pytest.main(["--version"])
    hypothesis = importlib.import_module("hypothesis")
    phases = [phase for phase in hypothesis.Phase if phase.name not in ("shrink", "explain")]  # one failure is enough
    hypothesis.settings.register_profile("mutation", phases=phases, database=None, deadline=None, derandomize=True)
    hypothesis.settings.load_profile("mutation")
    gc.freeze()  # a trial does not look through all of PyTorch for garbage


def copy(root: Path, place: Path) -> Path:
    """What git knows or does not ignore, in another folder; compiled so that a changed file is never taken for the old one."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, place / name)
    compileall = importlib.import_module("compileall")
    compileall.compile_dir(place / PACKAGE, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return place


def run(trials: Iterable[Trial], root: Path, scratch: Path, jobs: int) -> Iterator[tuple[Trial, str, dict, float]]:
    """Run trials, `jobs` at a time; yields each as it ends: "passed", "failed" or "timeout", what `Watch` found, seconds."""
    free = [copy(root, scratch / f"copy{k}") for k in range(jobs)]
    waiting, running = iter(trials), {}
    try:
        while True:
            while free and (trial := next(waiting, None)):
                place = free.pop()
                whole = _file(trial, place).read_bytes()
                running[_start(trial, root, place)] = trial, place, whole, time.perf_counter()
            if not running:
                return
            pid, status = os.wait()
            trial, place, whole, since = running.pop(pid)
            _end(pid)
            _file(trial, place).write_bytes(whole)
            free.append(place)
            ended = {0: "passed", -signal.SIGALRM: "timeout"}.get(os.waitstatus_to_exitcode(status), "failed")
            yield trial, ended, _found(place), time.perf_counter() - since
    finally:
        for pid in running:
            _end(pid)
            os.waitpid(pid, 0)


def _file(trial: Trial, place: Path) -> Path:
    return place / PACKAGE / (trial.module.replace(".", "/") + ".py" if trial.module else "__init__.py")


def _start(trial: Trial, root: Path, place: Path) -> int:
    """Fork a process for a trial; returns its id."""
    if trial.module:
        _file(trial, place).write_text(trial.code, encoding="utf-8")
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, signal.SIG_DFL)
        signal.alarm(trial.seconds)  # the system ends it, even where the parent is gone
        resource = importlib.import_module("resource")  # which Windows lacks, as it lacks fork
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        code = _tests(trial, root, place)
    finally:
        os._exit(code)


def _tests(trial: Trial, root: Path, place: Path) -> int:
    """Run the tests of a trial in this process, which sees the copy alone; returns pytest's exit status."""
    log = os.open(place / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.chdir(place)
    sys.path[:] = [str(place), *(p for p in sys.path if p and Path(p).resolve() != root)]
    os.environ |= {"PYTHONPATH": str(place), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    watch = Watch(place / PACKAGE, trial.first, traced=not trial.module)
    names = [str(path.relative_to(root)) for path in trial.tests]
    options = ["-x", "-p", "no:cacheprovider", f"--basetemp={place / 'temporary'}"]
    code = importlib.import_module("pytest").main([*options, *names], plugins=[watch])
    (place / "found.json").write_text(json.dumps(watch.found), encoding="utf-8")
    return int(code)


def _end(pid: int) -> None:
    """End a trial's process and those that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _found(place: Path) -> dict:
    """What the last trial's `Watch` found, as far as it came."""
    path = place / "found.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"failed": None, "tests": {}}
    finally:
        path.unlink(missing_ok=True)
