"""Films: the overlay that plays everywhere, and the cut-out with transparency for editing programs."""

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from ..errors import InputError
from .whole import atomic, make_folder, sweep


@contextlib.contextmanager
def mute_opencv() -> Iterator[None]:
    """Within the block OpenCV prints no messages of its own: our own message says what is wrong."""
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)


class Codec(NamedTuple):
    """How a film is encoded."""

    name: str
    pixels: str
    options: dict[str, str]


VP9 = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"}
# without x264's macroblock tree, whose rounding depends on where in memory it works: the same film must come again
H264 = Codec("libx264", "yuv420p", {"crf": "18", "preset": "veryfast", "x264-params": "mbtree=0"})
OVERLAYS = {".mp4": H264, ".mov": H264, ".m4v": H264, ".webm": Codec("libvpx-vp9", "yuv420p", VP9)}
"""By ending: what programs for slides, QuickTime and every browser play."""
CUT_OUTS = {".mov": Codec("prores_ks", "yuva444p10le", {"profile": "4444", "alpha_bits": "16", "vendor": "apl0"}),
            ".webm": Codec("libvpx-vp9", "yuva420p", {**VP9, "auto-alt-ref": "0"})}
"""By ending: codecs that carry transparency."""


def check_ending(flag: str, path: Path, endings: dict[str, object] | tuple[str, ...]) -> None:
    """Refuse a file whose kind is not known from its name, before anything is computed.

    Raises:
        InputError: naming the flag and the endings that there are.
    """
    if path.suffix.lower() not in endings:
        has = f"the ending {path.suffix}" if path.suffix else "no ending"
        raise InputError(f"{flag} {path} has {has}: use {', '.join(endings)}")


_LUMA = np.array([0.2126, 0.7152, 0.0722])
_DIFFERENCES = [112 * (np.eye(3)[n] - _LUMA) / (1 - _LUMA[n]) for n in (2, 0)]
_YUV = np.vstack([219 * _LUMA, *_DIFFERENCES]) / 255
"""BT.709: from RGB to luma and two colour differences, in the limited range of video."""


def _planes(picture: np.ndarray, pixels: str) -> list[np.ndarray]:
    """The planes of a picture, uint8 RGB or RGBA (H, W, 3 or 4), in yuv420p, yuva420p or yuva444p10le.

    By ourselves: how FFmpeg rounds depends on where in memory a picture lies, and the same film must come again.
    """
    depth = 4 if pixels.endswith("10le") else 1
    offset = np.array([[16], [128], [128]])
    rgb = np.ascontiguousarray(picture[..., :3])
    yuv = cv2.transform(rgb.astype(np.float32) if depth > 1 else rgb, depth * np.hstack([_YUV, offset]))
    yuv = yuv if depth == 1 else np.rint(yuv).astype(np.uint16)
    planes = list(cv2.split(yuv))
    if "420" in pixels:
        planes[1:] = [cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in planes[1:]]
    if pixels.startswith("yuva"):
        alpha = picture[..., 3]
        planes.append(alpha if depth == 1 else np.rint(alpha * (1023 / 255)).astype(np.uint16))
    return planes


class FilmWriter:
    """A video file. Use as a context manager; the file appears under its name only when the block ends well.

    Args:
        path: its ending chooses the codec.
        fps: frames per second.
        size: (H, W); an odd row or column is dropped, as most codecs need even sizes.
        codecs: by ending.
        claim: as `atomic` takes it.

    Raises:
        InputError: another ending, or the folder, disk or encoder refuses.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int], codecs: dict[str, Codec] = OVERLAYS,
                 claim: Callable[[Path], None] | None = None):
        self.path, self.claim = Path(path), claim
        check_ending("the film", self.path, codecs)
        self.codec = codecs[self.path.suffix.lower()]
        self.fps, self.size = Fraction(fps).limit_denominator(1001), (size[0] // 2 * 2, size[1] // 2 * 2)

    def __enter__(self) -> "FilmWriter":
        sweep(make_folder(self.path.parent), self.path.stem)
        self._atomic, self.count = atomic(self.path, self.claim), 0
        self._temporary = self._atomic.__enter__()
        try:
            options = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if self.path.suffix.lower() != ".webm" else {})
            self._film = av.open(f"file:{self._temporary}", "w", options=options)
            self._stream = self._film.add_stream(self.codec.name, rate=self.fps, options=self.codec.options)
        except (av.FFmpegError, ValueError) as error:
            self._refuse(f"cannot be encoded ({error}): run without it, or install PyAV anew")
        stream = self._stream
        stream.height, stream.width = self.size
        stream.pix_fmt, stream.time_base = self.codec.pixels, 1 / self.fps
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709.value, ColorRange.MPEG.value
        context.color_primaries = context.color_trc = 1
        return self

    def add(self, picture: np.ndarray) -> None:
        """Append uint8 RGB (H, W, 3), or RGBA (H, W, 4) where the codec is one for transparency.

        Raises:
            InputError: the disk or the encoder refuses.
        """
        height, width = self.size
        frame = av.VideoFrame(width, height, self.codec.pixels)
        for plane, values in zip(frame.planes, _planes(picture[:height, :width], self.codec.pixels), strict=True):
            rows = np.frombuffer(plane, values.dtype).reshape(plane.height, -1)
            rows[:] = 0
            rows[:, : values.shape[1]] = values
        frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        frame.pts, frame.time_base = self.count, 1 / self.fps
        self._mux(frame)
        self.count += 1

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            self._film.mux(self._stream.encode(frame))
        except av.FFmpegError as error:
            raise self._full(error) from None

    def _full(self, error: object = "") -> InputError:
        reason = f" ({error.strerror})" if getattr(error, "strerror", None) else ""
        return InputError(f"the film {self.path} could not be written whole{reason}: free some space, then run again")

    def _refuse(self, why: str) -> None:
        error = InputError(f"the film {self.path} {why}")
        self._atomic.__exit__(InputError, error, None)
        raise error

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None and self.count:
                self._mux(None)
            self._film.close()
        except (InputError, av.FFmpegError) as failed:
            if kind is None:
                kind, error = InputError, failed if isinstance(failed, InputError) else self._full(failed)
                self._atomic.__exit__(kind, error, None)
                raise error from None
        if kind is None and not self._whole():
            error = self._full()
            self._atomic.__exit__(InputError, error, None)
            raise error
        self._atomic.__exit__(kind, error, trace)

    def _whole(self) -> bool:
        """A full disk is not always said, so the file is asked how many frames it has."""
        try:
            with av.open(f"file:{self._temporary}") as found:
                return sum(packet.size > 0 for packet in found.demux(video=0)) >= self.count
        except (av.FFmpegError, ValueError, IndexError):
            return self.count == 0


class OverlayWriter(FilmWriter):
    """A video file that plays in programs for slides and in browsers: H.264 in .mp4 and .mov, VP9 in .webm."""
