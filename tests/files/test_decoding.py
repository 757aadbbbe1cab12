"""Video files of every kind that users bring, each written here with PyAV: the frames come out right, in number and order."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import moving_shapes

from vosedu.errors import InputError
from vosedu.files.decoding import VideoFile
from vosedu.files.frames import FrameSource

FRAMES = moving_shapes(12)[0]
PAL = moving_shapes(4, size=(576, 720), step=9)[0]
"""DV has this size alone."""


def write(path, codec, pixels, frames=FRAMES, rate=12, options=None, prepare=None, times=None, container=None):
    """A film of RGB frames (T, H, W, 3); `times` in 120ths of a second, where frames stay differently long."""
    with av.open(str(path), "w", format=container) as film:
        stream = film.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        if prepare:
            prepare(stream)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(format=pixels)
            if times:
                picture.pts, picture.time_base = times[index], Fraction(1, 120)
            film.mux(stream.encode(picture))
        film.mux(stream.encode(None))
    return path


def read(path):
    return np.stack([frame for _, frame in FrameSource(path)])


def assert_same(found, frames, most=6.0):
    """Every frame is its own picture, up to compression, and nearer to it than to any other."""
    off = np.abs(found[:, None].astype(np.int16) - frames[None]).mean((2, 3, 4))
    assert off.shape == (len(frames),) * 2 and off.diagonal().max() < most
    assert (off.argmin(1) == np.arange(len(frames))).all()


def has(codec, mode="w"):
    try:
        av.codec.Codec(codec, mode)
    except ValueError:
        return False
    return True


QUIET = {"x265-params": "log-level=none"}
FIELDS = {"flags": "+ildct+ilme", "b": "6M"}
KINDS = {
    "H.264.mp4": ("libx264", "yuv420p", {}), "H.264.mkv": ("libx264", "yuv420p", {}),
    "H.264.mov": ("libx264", "yuv420p", {}), "H.264.m4v": ("libx264", "yuv420p", {}),
    "H.264 with B-frames.mp4": ("libx264", "yuv420p", {"bf": "3"}), "HEVC 10 bit.mp4": ("libx265", "yuv420p10le", QUIET),
    "ProRes.mov": ("prores_ks", "yuv422p10le", {}), "ProRes 4444.mov": ("prores_ks", "yuva444p10le", {"profile": "4444"}),
    "AV1.mp4": ("libsvtav1", "yuv420p", {"preset": "12"}), "MJPEG.avi": ("mjpeg", "yuvj420p", {}),
    "VP9.webm": ("libvpx-vp9", "yuv420p", {}), "VP8.webm": ("libvpx", "yuv420p", {}),
    "MPEG-2.ts": ("mpeg2video", "yuv420p", {}),
    "MPEG-4.avi": ("mpeg4", "yuv420p", {"b": "4M"}), "FFV1.mkv": ("ffv1", "yuv420p", {}), "PNG.mov": ("png", "rgb24", {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_codecs_and_containers(tmp_path, name):
    codec, pixels, options = KINDS[name]
    if not has(codec):
        pytest.skip(f"this PyAV has no {codec}")
    found = read(write(tmp_path / name, codec, pixels, options=options, rate=25 if name.startswith("MPEG-2") else 12))
    assert_same(found, FRAMES)


@pytest.mark.parametrize("name", ["GIF.gif", "APNG.apng", "APNG.png"])
def test_moving_pictures(tmp_path, name):
    codec = "gif" if name.endswith("gif") else "apng"
    pixels = "rgb8" if codec == "gif" else "rgb24"
    assert_same(read(write(tmp_path / name, codec, pixels, container=codec)), FRAMES, 20 if codec == "gif" else 0.1)


def woven(frames):
    """Interlaced: the rows of even number are of one instant, those of odd number of the next; returns half as many."""
    whole = frames[::2].copy()
    whole[:, 1::2] = frames[1::2, 1::2]
    return whole


INTERLACED = {
    "H.264.mp4": ("libx264", "yuv420p", {"x264-params": "tff=1:interlaced=1"}), "MPEG-2.mpg": ("mpeg2video", "yuv420p", FIELDS),
    "MPEG-2.ts": ("mpeg2video", "yuv420p", FIELDS), "DV.avi": ("dvvideo", "yuv420p", {}), "DV.dv": ("dvvideo", "yuv420p", {}),
}


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_frames_are_made_whole(tmp_path, name):
    """No comb is left: rows differ from their neighbours as they do in a whole frame, not as in the woven one. The same bits
    come again, which OpenCV does not give."""
    codec, pixels, options = INTERLACED[name]
    size = (576, 720) if codec == "dvvideo" else (96, 128)
    moving = moving_shapes(16, size=size, step=round(4 * size[0] / 96), turn=0)[0]
    path = write(tmp_path / name, codec, pixels, woven(moving), 25, options)
    found = read(path)
    assert len(found) == 8 and np.array_equal(found, read(path))

    def comb(frames):
        rows = frames.astype(int)
        return np.abs(rows[:, 1:-1] - (rows[:, :-2] + rows[:, 2:]) / 2).mean()

    assert comb(found) < 0.5 * comb(woven(moving))
    assert np.abs(found[2:6].astype(int) - moving[4:12:2]).mean() < 9
    (line,) = FrameSource(path).notes()
    assert "interlaced" in line and "bwdif" in line
    later = np.stack([frame for _, frame in FrameSource(path).whole(3)])
    assert np.array_equal(later, found[3:])


def test_whole_frames_stay_as_they_are(tmp_path):
    """Nothing is filtered, and nothing said, where no frame is interlaced."""
    path = write(tmp_path / "v.mkv", "ffv1", "bgr0")
    assert np.array_equal(read(path), FRAMES) and FrameSource(path).notes() == []


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_is_turned_back(tmp_path, degrees):
    """Phones write upright videos lying down, and how to turn them."""
    lying = np.rot90(FRAMES, -(degrees // 90), (1, 2))
    path = write(tmp_path / "v.mp4", "libx264", "yuv420p", lying, prepare=lambda s: s.set_display_rotation(degrees))
    assert FrameSource(path).size == FRAMES.shape[1:3]
    assert_same(read(path), FRAMES)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_variable_frame_rate_loses_and_doubles_no_frame(tmp_path, name):
    """The last four stay five times as long; a duration that says more frames than there are is no warning then."""
    path = write(tmp_path / name, "libx264", "yuv420p", times=[*range(0, 80, 10), *range(120, 320, 50)])
    source = FrameSource(path)
    assert_same(np.stack([frame for _, frame in source]), FRAMES)
    assert source.missed(12) == []


def test_an_edit_list_is_followed(tmp_path):
    """Frames 4 to 9 are to be shown (ISO 14496-12, elst): they come, and no other is missed."""
    path = write(tmp_path / "v.mp4", "libx264", "yuv420p", options={"bf": "2"})
    data = bytearray(path.read_bytes())
    edit, scale = data.index(b"elst"), {}
    for box in (b"mvhd", b"mdhd"):
        (scale[box],) = struct.unpack_from(">I", data, data.index(box) + 16)
    (begin,) = struct.unpack_from(">i", data, edit + 16)
    struct.pack_into(">Ii", data, edit + 12, scale[b"mvhd"] * 6 // 12, begin + scale[b"mdhd"] * 4 // 12)
    path.write_bytes(data)
    source = FrameSource(path)
    assert source.count == 6 and source.exact
    assert_same(np.stack([frame for _, frame in source]), FRAMES[4:10])
    assert source.missed(6) == []


def test_a_change_of_size_is_refused_in_one_line(tmp_path):
    small = write(tmp_path / "b.ts", "mpeg2video", "yuv420p", FRAMES[:, :64, :96], 25)
    path = write(tmp_path / "a.ts", "mpeg2video", "yuv420p", rate=25)
    path.write_bytes(path.read_bytes() + small.read_bytes())
    with pytest.raises(InputError, match=r"frame 000\d\d is 96x64, the first 128x96: make all frames one size") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_cover_is_no_frame(tmp_path):
    """A picture that belongs to the file is left out, also where its stream is the first: the box `udta` before the tracks."""
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as film:
        cover, stream = film.add_stream("mjpeg", rate=1), film.add_stream("libx264", rate=12)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        film.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8)).reformat(format="yuvj420p")))
        film.mux(cover.encode(None))
        for frame in FRAMES:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame).reformat(format="yuv420p")))
        film.mux(stream.encode(None))
    data = path.read_bytes()
    first, notes = (data.index(box) - 4 for box in (b"trak", b"udta"))
    (length,) = struct.unpack_from(">I", data, notes)
    path.write_bytes(data[:first] + data[notes : notes + length] + data[first:notes] + data[notes + length :])
    with av.open(str(path)) as film:
        assert [s.codec_context.name for s in film.streams.video] == ["mjpeg", "h264"], "the cover is first"
    assert_same(read(path), FRAMES)


def test_high_dynamic_range_is_said(tmp_path):
    def mark(stream):
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = 16, 9, 9

    path = write(tmp_path / "v.mp4", "libx265", "yuv420p10le", options=QUIET, prepare=mark)
    (line,) = FrameSource(path).notes()
    assert "PQ (HDR10)" in line and "tone mapping" in line and read(path).std() > 20


def test_colours_are_those_that_the_file_says(tmp_path):
    """Red through the matrices of BT.601 and BT.709: taken for the other, its green or blue would be off by 15 and more."""
    red = np.full((4, 64, 96, 3), (210, 30, 40), np.uint8)
    for space in (1, 5):
        path = tmp_path / f"{space}.mkv"
        with av.open(str(path), "w") as film:
            stream = film.add_stream("ffv1", rate=12)
            stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv444p"
            stream.codec_context.colorspace = space
            for frame in red:
                film.mux(stream.encode(av.VideoFrame.from_ndarray(frame).reformat(format="yuv444p", dst_colorspace=space)))
            film.mux(stream.encode(None))
        assert np.abs(read(path)[0].astype(int) - red[0]).max() <= 4


def test_what_a_container_says_is_believed_where_it_can_be():
    """Counts from an index; else from the duration, of the stream or of the file; nothing where neither is usable."""
    from types import SimpleNamespace as Says

    from vosedu.files.decoding import _count

    kept, cut = Says(is_discard=False), Says(is_discard=True)
    stream = Says(frames=5, index_entries=[cut, kept, kept], duration=None, time_base=Fraction(1, 10))
    assert _count(Says(duration=None), stream, 10.0) == (2, True)
    stream.index_entries = []
    assert _count(Says(duration=None), stream, 10.0) == (5, True)
    stream.frames = 10**9
    assert _count(Says(duration=None), stream, 10.0) == (None, False)
    stream.frames, stream.duration = 0, 25
    assert _count(Says(duration=9_000_000), stream, 10.0) == (25, False)
    stream.duration = None
    assert _count(Says(duration=9_000_000), stream, 10.0) == (90, False)
    assert _count(Says(duration=None), stream, 10.0) == (None, False)


@pytest.mark.parametrize("text", ["no video", "#EXTM3U\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
                                  "ffconcat version 1.0\nfile other.ts\n"])
@pytest.mark.parametrize("name", ["v.mp4", "v.m3u8", "v.txt", "v.ffconcat"])
def test_text_is_no_video_and_leads_nowhere(tmp_path, text, name):
    """A playlist beside a real video does not open it."""
    write(tmp_path / "other.ts", "mpeg2video", "yuv420p", rate=25)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="is not a video that FFmpeg can decode") as caught:
        VideoFile(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_names_that_mean_something_to_ffmpeg_are_names(tmp_path, monkeypatch):
    """A colon, a percent sign and a number are no protocol and no pattern."""
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "v.mp4", "libx264", "yuv420p")
    for name in ("http:a%03d.mp4", "concat:b|c.mp4", "-.mp4"):
        path.rename(tmp_path / name)
        path = tmp_path / name
        assert len(read(path)) == 12 and len(list(FrameSource(path.relative_to(tmp_path)))) == 12
