"""Video files, decoded by FFmpeg through PyAV: the frames as a player shows them, and what was noticed about them."""

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from ..errors import InputError

av.logging.set_level(None)  # our own message says what is wrong
LOCAL = {"protocol_whitelist": "file"}
"""A playlist may name any address; none is opened."""
NOT_VIDEO = {"tty", "concat", "hls", "sdp", "dash"}
"""Formats that FFmpeg makes of text, or that lead to other files."""
TRANSFERS = {16: "PQ (HDR10)", 18: "HLG"}
"""Transfer characteristics of high dynamic range, by their number in ISO 23091-2."""
PROBED = 8
"""Frames that are looked at before anything is said."""


@dataclass
class Turn:
    """How a picture is to be turned before it is shown: rows and columns exchanged first, then mirrored."""

    transpose: bool = False
    mirror: bool = False
    upside_down: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Turn":
        """What a frame's display matrix says (ISO 14496-12, tkhd): right angles and mirrors; others are left as they are."""
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].astype(float)
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        picture = picture.swapaxes(0, 1) if self.transpose else picture
        return np.ascontiguousarray(picture[:: -1 if self.upside_down else 1, :: -1 if self.mirror else 1])


@dataclass
class Seen:
    """What the frames that were decoded had that a user should know."""

    interlaced: bool = False
    damaged: int = 0
    until: float = 0.0
    """Seconds from the start at which the last frame is shown."""
    transfer: int = 0
    turn: Turn = field(default_factory=Turn)

    def lines(self) -> list[str]:
        """In words."""
        found = ["its frames are interlaced: each is made whole from its two halves (bwdif)"] if self.interlaced else []
        if self.transfer in TRANSFERS:
            found.append(f"its colours are {TRANSFERS[self.transfer]}, of high dynamic range, and are taken as they are, "
                         "without tone mapping: they look pale")
        return found


class VideoFile:
    """The frames of a video file. Interlaced ones are made whole, turned ones turned, and an edit list is followed.

    Args:
        path: of the file.

    Attributes:
        fps: frames per second; 24 where the container says nothing usable.
        count: how many the container says there are, or None.
        exact: whether `count` is a number that it says, not one reckoned from its duration.
        size: (H, W) of the first frame.
        seen: what was noticed, in the first frames or in all that were decoded.

    Raises:
        InputError: no video, or none whose first frame can be decoded.
    """

    def __init__(self, path: Path):
        self.path, self.seen = path, Seen()
        with self._opened() as (container, stream):
            rates = stream.average_rate, stream.base_rate, stream.guessed_rate
            self.fps = next((float(rate) for rate in rates if rate), 0.0)
            self.fps = self.fps if 0 < self.fps <= 1000 else 24.0
            self.count, self.exact = _count(container, stream, self.fps)
        probe = self.frames()
        first = [frame for frame, _ in zip(probe, range(PROBED), strict=False)]
        probe.close()
        if not first:
            raise InputError(f"{path} holds no frame that can be decoded: convert it to H.264 MP4 or a folder of images")
        self.size = first[0].shape[:2]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
        try:
            container = av.open(f"file:{self.path}", options=LOCAL, metadata_errors="ignore")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._refused(error) from None
        with container:
            streams = [s for s in container.streams.video if not _is_cover(s)]
            if not streams or set(container.format.name.split(",")) & NOT_VIDEO:
                raise self._refused("it has no video")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]

    def _refused(self, why: object) -> InputError:
        reason = " ".join(str(getattr(why, "strerror", None) or why).split())[:80]
        return InputError(f"{self.path} is not a video that FFmpeg can decode ({reason}): convert it to H.264 MP4, or give a "
                          "folder of images")

    def frames(self, start: int = 0) -> Iterator[np.ndarray]:
        """uint8 RGB (H, W, 3) from frame `start` on; those before are decoded too, for seeking is not exact in every container.

        Raises:
            InputError: a frame has another size than the first.
        """
        reformatter, shape, first = VideoReformatter(), None, None
        with self._opened() as (container, stream):
            for index, frame in enumerate(self._whole(self._decoded(container, stream))):
                turn = Turn.of(frame) if index else self._first(frame)
                shape, first = shape or (frame.width, frame.height), frame.time if index == 0 else first
                if (frame.width, frame.height) != shape:
                    raise InputError(f"{self.path}: frame {index:05d} is {frame.width}x{frame.height}, the first "
                                     f"{shape[0]}x{shape[1]}: make all frames one size")
                self.seen.until = frame.time - first if frame.time and first is not None else self.seen.until
                if index >= start:
                    yield turn(_rgb(frame, reformatter))

    def _first(self, frame: av.VideoFrame) -> Turn:
        self.seen.transfer, self.seen.turn = int(frame.color_trc or 0), Turn.of(frame)
        return self.seen.turn

    def _decoded(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        """Every frame that can be decoded; damaged packets are passed over."""
        packets, self.seen.damaged = container.demux(stream), 0
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                yield from packet.decode()
            except av.FFmpegError:
                self.seen.damaged += 1
                if self.seen.damaged > 1000:
                    return

    def _whole(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """From the first interlaced frame on all go through bwdif, which makes one whole frame of each that is interlaced."""
        graph, waiting = None, deque()
        for frame in frames:
            if graph is None and frame.interlaced_frame:
                self.seen.interlaced, graph = True, _deinterlacer(frame)
            if graph is None:
                yield frame
                continue
            waiting.append(frame)
            graph.vpush(frame)
            yield from _pulled(graph, waiting)
        if graph is not None:
            graph.vpush(None)
            yield from _pulled(graph, waiting)


def _pulled(graph: av.filter.Graph, waiting: deque) -> Iterator[av.VideoFrame]:
    while waiting:
        try:
            yield graph.vpull()
        except (av.FFmpegError, BlockingIOError, EOFError):
            return
        waiting.popleft()


def _deinterlacer(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    filters = source, graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"), graph.add("buffersink")
    graph.link_nodes(*filters).configure()
    return graph


def _rgb(frame: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """uint8 RGB; colours of which nothing is said are of BT.709 from 720 rows on, else of BT.601, as players take them."""
    said = int(frame.colorspace)
    space = Colorspace(said) if said in (1, 4, 5, 6, 7, 9) else Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    return reformatter.reformat(frame, format="rgb24", src_colorspace=space).to_ndarray()


def _is_cover(stream: av.VideoStream) -> bool:
    """A picture that belongs to the file, as that of a record's cover, is no frame."""
    return bool(int(stream.disposition) & 0x400)


def _count(container: av.container.InputContainer, stream: av.VideoStream, fps: float) -> tuple[int | None, bool]:
    """Number of frames and whether the container says it: what its edit list cuts is left out."""
    entries = stream.index_entries
    if stream.frames and len(entries):
        return sum(not entry.is_discard for entry in entries), True
    if stream.frames:
        return (stream.frames, True) if stream.frames < 10**9 else (None, False)
    seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
    reckoned = round(seconds * fps)
    return (reckoned, False) if 0 < reckoned < 10**9 else (None, False)
