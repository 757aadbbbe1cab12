"""Files and folders that are written whole or not at all, whatever happens to the process or the disk."""

import contextlib
import glob
import hashlib
import json
import os
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import InputError, file_error


@contextlib.contextmanager
def atomic(path: Path, claim: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A temporary file beside `path`: where the block ends well it becomes `path`, readable by all; else it is removed.

    Where the process is killed, the temporary file stays, with a name that begins with `.vosedu-`; `sweep` removes it.

    Args:
        path: of the file.
        claim: called with the finished temporary file before that takes its place; it may note down what is made.
    """
    handle, name = tempfile.mkstemp(prefix=f".vosedu-{path.stem[:40]}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            temporary.chmod(0o644)  # FAT, exFAT and many network shares have no modes
        if claim:
            claim(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path, stem: str = "") -> None:
    """Remove the temporary files that killed runs left in a folder; with `stem`, only those of files with that stem."""
    for leftover in folder.glob(f".vosedu-{glob.escape(stem[:40])}-????????.*" if stem else ".vosedu-*"):
        leftover.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: dict) -> None:
    """Write JSON, whole or not at all."""
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: Path) -> dict:
    """The dictionary in a JSON file.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise file_error(error) from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged, or was not written by vosedu: delete it, and run again")
    return content


def make_folder(path: Path) -> Path:
    """Create an output folder, where it is not there, and try whether files can be made in it; returns `path`.

    Raises:
        InputError: it cannot be created, or no file can be made in it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise InputError(f"cannot write to {path} ({error.strerror}): choose another folder with --out") from None


def place(path: Path) -> str:
    """Where a path leads, its links followed, so written that names which some systems do not tell apart are equal."""
    return _folded(os.path.realpath(path))


def places(paths: Iterable[Path]) -> set[str]:
    """`place` of each."""
    return {place(path) for path in paths}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def occupant(path: Path) -> Path | None:
    """What is at a path, a dead link included, or beside it under a name that only some systems tell apart from it."""
    if os.path.lexists(path):
        return path
    try:
        return next((p for p in path.parent.iterdir() if _folded(p.name) == _folded(path.name)), None)
    except OSError:
        return None  # the folder is yet to be made


def refuse_to_replace(flag: str, path: Path, made: Collection[str] = ()) -> None:
    """Refuse to write where something is that we did not make.

    Args:
        flag: that names the path, for the message.
        path: of a file that is to be written.
        made: SHA-256 of files that may be replaced.

    Raises:
        InputError: something else is there.
    """
    there = occupant(path)
    if there and not (there.is_file() and not there.is_symlink() and made and digest([there]) in made):
        raise InputError(f"{flag} {path}: {there} is there already, and this run did not make it: move it away, or give {flag} "
                         "another name")


def refuse_other_json(flag: str, path: Path, key: str) -> None:
    """`refuse_other` for JSON: what this command wrote is a dictionary with `key` in it."""
    refuse_other(flag, path, lambda file: key in read_json(file))


def refuse_other(flag: str, path: Path, ours: Callable[[Path], bool]) -> None:
    """Refuse to write over anything but a file of the same kind that this command wrote before.

    Args:
        flag: that names the path, for the message.
        path: of the file that is to be written.
        ours: whether a file is one of this command's.

    Raises:
        InputError: something else is there.
    """
    if occupant(path) and not (path.is_file() and ours(path)):
        raise InputError(f"{flag} {path} is there already, and is not of this command: give another name")


def refuse_strangers(flag: str, folder: Path, marks: Collection[str], names: Iterable[str]) -> None:
    """Refuse a folder in which files of these names lie that no run has made.

    Args:
        flag: that names the folder, for the message.
        folder: to be written to.
        marks: files of which a run that was here has left one.
        names: of files that are to be written.

    Raises:
        InputError: naming the first of them.
    """
    for name in () if any((folder / mark).is_file() for mark in marks) else names:
        refuse_to_replace(flag, folder / name)


def digest(files: Iterable[Path], standing: Mapping[Path, bytes] | None = None) -> str:
    """SHA-256 of a file; of several, of the lines that `sha256sum` would print for them (digest, two spaces, name).

    Args:
        files: in their order.
        standing: what counts in place of the content of some of them.

    Raises:
        InputError: one cannot be read.
    """
    found = []
    for path in files:
        whole = hashlib.sha256((standing or {}).get(path, b""))
        if not standing or path not in standing:
            try:
                with open(path, "rb") as file:
                    while block := file.read(1 << 20):
                        whole.update(block)
            except OSError as error:
                raise file_error(error) from None
        found.append((whole.hexdigest(), path.name))
    if len(found) == 1:
        return found[0][0]
    return hashlib.sha256("".join(f"{one}  {name}\n" for one, name in found).encode()).hexdigest()
