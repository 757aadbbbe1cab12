"""Data sets from their official addresses: resumable, checked, and unpacked whole or not at all.

An archive comes from outside: one that would write outside its folder, or far more than such a data set has, is refused before
anything is unpacked. Only the files that `vosedu.files.datasets` reads are unpacked.
"""

import http.client
import shutil
import urllib.request
import zipfile
import zlib
from collections import defaultdict
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from ..errors import InputError, file_error
from .whole import digest, make_folder, read_json, write_json

MAX_UNPACKED = 8 << 30
"""Bytes; both archives unpack to less than 2 GiB of 480p files."""
MAX_FILES = 100_000
MAX_RATIO = 200
"""Unpacked to packed size of a file above a mebibyte; photographs and masks stay far below."""


@dataclass(frozen=True)
class Archive:
    """Where a data set lies, and how many sequences its authors say it has."""

    url: str
    sequences: int


ARCHIVES = {
    "davis2016": Archive("https://graphics.ethz.ch/Downloads/Data/Davis/DAVIS-data.zip", 50),
    "davis2017": Archive("https://data.vision.ee.ethz.ch/csergi/share/davis/DAVIS-2017-trainval-480p.zip", 90),
}
"""For neither is a SHA-256 published: size, CRC-32 of every file and the listing are what is checked."""


class Refused(InputError):
    """An archive that is damaged, hostile, or not the data set."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but not from https to anything less."""

    def redirect_request(
        self, request: urllib.request.Request, file: IO[bytes], code: int, message: str, headers: Message, new: str
    ) -> urllib.request.Request | None:
        """The request to go on with (urllib's hook).

        Raises:
            InputError: `new` is not https where the old address was.
        """
        if request.full_url.startswith("https:") and not new.startswith("https:"):
            raise InputError(f"{request.full_url} sends us on to {new}, which is not https: refused")
        return super().redirect_request(request, file, code, message, headers, new)


def fetch(url: str, path: Path, quiet: bool = False) -> None:
    """Download a file, going on with what an earlier call left in `<path>.part`; `path` appears when all is there.

    A part is continued only if the server still has the same file (If-Range), else it is begun again.

    Raises:
        InputError: no connection, it broke off, or the server's answers do not fit together.
    """
    part, notes = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")
    have, known = _left_over(part, notes, url)
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", str(known["validator"]))
    again = "run the same command again to go on"
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=60) as answer:
            length = answer.headers.get("Content-Length")
            if answer.status == 206:
                if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                    raise InputError(f"{url} sends another part of the file than it was asked for: delete {part.name}, then "
                                     "run the same command again")
                total = known.get("total")
            else:
                have, total = 0, int(length) if length and length.isdecimal() else None
                etag = answer.headers.get("ETag", "")
                validator = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")
                part.unlink(missing_ok=True)  # first: what is there must never be taken for a part of another file
                write_json(notes, {"url": url, "validator": validator, "total": total})
            with open(part, "r+b" if have else "wb") as file, tqdm(
                total=total, initial=have, unit="B", unit_scale=True, desc=path.name, disable=quiet
            ) as bar:
                file.seek(have)
                while block := answer.read(1 << 18):
                    file.write(block)
                    bar.update(len(block))
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise InputError(f"{url} answers {error.code} {error.reason}: try later, or look whether the address is still "
                             "right") from None
        total = known.get("total")  # nothing is left to ask for: the part is whole, or no part of this file
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise InputError(f"the connection to {url} failed ({getattr(error, 'reason', error)}): {again}") from None
    except OSError as error:
        raise file_error(error) from None
    size = part.stat().st_size
    if total is not None and size < total:
        raise InputError(f"{url} broke off after {size} of {total} bytes: {again}")
    if total is not None and size > total:
        part.unlink()
        raise InputError(f"{part.name} has {size} bytes, and {url} says {total}: discarded; run the same command again")
    part.replace(path)
    notes.unlink()


def _left_over(part: Path, notes: Path, url: str) -> tuple[int, dict]:
    """Bytes of `url` that an earlier `fetch` left in `part`, and its notes; 0 where the part cannot be trusted."""
    if not part.is_file() or not notes.is_file():
        return 0, {}
    try:
        known = read_json(notes)
    except InputError:
        return 0, {}
    return part.stat().st_size if known.get("url") == url and known.get("validator") else 0, known


def _target(entry: zipfile.ZipInfo) -> PurePosixPath | None:
    """Where an entry goes below the data set's folder; None for one that is not needed.

    Raises:
        Refused: no honest archive has such an entry.
    """
    name, path = entry.filename, PurePosixPath(entry.filename)
    kind = entry.external_attr >> 28  # of Unix' file mode: 4 a folder, 8 a file, 10 a link
    if "\\" in name or "\0" in name or ":" in name or path.is_absolute() or ".." in path.parts:
        raise Refused(f"the archive holds {name!r}, which would be written elsewhere: refused")
    if kind not in (0, 4, 8):
        raise Refused(f"the archive holds {name!r}, which is a link or a device: refused")
    if entry.flag_bits & 1:
        raise Refused(f"the archive holds {name!r}, which is encrypted: refused")
    if entry.file_size > max(1 << 20, MAX_RATIO * entry.compress_size):
        raise Refused(f"the archive holds {name!r}, which would grow from {entry.compress_size} to {entry.file_size} bytes: "
                         "refused")
    for lead in (0, 1):  # some archives have one folder about everything
        match path.parts[lead:]:
            case ("JPEGImages", "480p", _, file) if file.endswith(".jpg"):
                return PurePosixPath(*path.parts[lead:])
            case ("Annotations", "480p", _, file) if file.endswith(".png"):
                return PurePosixPath(*path.parts[lead:])
            case ("ImageSets", *_, file) if file.endswith(".txt"):
                return PurePosixPath(*path.parts[lead:])
    return None


def _listing(archive: zipfile.ZipFile, size: int, sequences: int) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The entries to unpack, by where they go, after all that can be checked without unpacking.

    Raises:
        Refused: a hostile entry, too much of everything, or not the data set.
    """
    wanted: dict[PurePosixPath, zipfile.ZipInfo] = {}
    known: set[str] = set()
    entries = archive.infolist()
    if len(entries) > MAX_FILES or sum(e.compress_size for e in entries) > size:
        raise Refused(f"the archive declares {len(entries)} files that do not fit into its {size} bytes: refused")
    for entry in entries:
        target = _target(entry)
        if target is None:
            continue
        if str(target).lower() in known:  # two names that one file system takes for one, too
            raise Refused(f"the archive holds {entry.filename!r} twice: refused")
        known.add(str(target).lower())
        wanted[target] = entry
    if sum(e.file_size for e in wanted.values()) > MAX_UNPACKED:
        raise Refused(f"the archive would unpack to more than {MAX_UNPACKED >> 30} GiB: refused")
    found: dict[str, dict[str, set]] = {"JPEGImages": defaultdict(set), "Annotations": defaultdict(set)}
    for target in wanted:
        if target.parts[0] in found:
            found[target.parts[0]][target.parts[2]].add(target.stem)
    frames, masks = found.values()
    if len(frames) != sequences or frames != masks:
        differing = sorted(s for s in {**frames, **masks} if frames.get(s) != masks.get(s))
        raise Refused(f"the archive has {len(frames)} sequences of frames and {len(masks)} of masks, {sequences} are due"
                         + (f"; {differing[0]} lacks some" if differing else "") + ": it is not the data set")
    return wanted


def unpack(path: Path, out: Path, sequences: int, quiet: bool = False) -> None:
    """Unpack a data set's archive into a folder that appears when all of it is there.

    Args:
        path: the zip file.
        out: folder to be; it must not exist, or be empty.
        sequences: how many there have to be.

    Raises:
        Refused: damaged, hostile or another data set.
        InputError: no space.
    """
    making = out.with_name(f".vosedu-{out.name}-unpacking")
    shutil.rmtree(making, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = _listing(archive, path.stat().st_size, sequences)
            needed, free = sum(e.file_size for e in wanted.values()), shutil.disk_usage(out.parent).free
            if needed > free:
                raise InputError(f"unpacking needs {needed >> 20} MiB, and {out.parent} has {free >> 20}: free some space, "
                                 "then run the same command again")
            for target, entry in tqdm(wanted.items(), unit="file", desc=out.name, disable=quiet):
                file = making.joinpath(*target.parts)
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, open(file, "xb") as plain:  # reading to the end checks the CRC-32
                    shutil.copyfileobj(packed, plain)
        if out.is_dir():
            out.rmdir()
        making.replace(out)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
        raise Refused(f"{path} is damaged or no zip archive ({error})") from None
    except OSError as error:
        raise file_error(error) from None
    finally:
        shutil.rmtree(making, ignore_errors=True)


def download(name: str, out: Path, quiet: bool = False) -> str:
    """Fetch and unpack a data set; the archive is deleted once its files are there.

    Args:
        name: of `ARCHIVES`.
        out: folder for JPEGImages, Annotations and ImageSets.

    Returns:
        SHA-256 of the archive.

    Raises:
        InputError: unknown name, `out` is in use, or as `fetch` and `unpack`.
    """
    if name not in ARCHIVES:
        raise InputError(f"no address is known for '{name}': choose one of {', '.join(ARCHIVES)}")
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already: delete it to fetch {name} again, or choose another --out")
    make_folder(out.parent)
    path = out.with_name(f"{out.name}.zip")
    if not path.is_file():
        fetch(ARCHIVES[name].url, path, quiet)
    try:
        unpack(path, out, ARCHIVES[name].sequences, quiet)
    except Refused as error:
        path.unlink()
        raise Refused(f"{error}; the archive is deleted, and the same command fetches it anew") from None
    sha256 = digest([path])
    path.unlink()
    return sha256
