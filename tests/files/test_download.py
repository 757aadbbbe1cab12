"""Downloads against a server on loopback that breaks off, ignores ranges, changes its file or lies; hostile archives."""

import http.server
import io
import json
import shutil
import threading
import zipfile

import pytest
from helpers import moving_shapes
from PIL import Image

from vosedu.commands import main
from vosedu.errors import InputError
from vosedu.files import datasets, download
from vosedu.files.download import ARCHIVES, Archive, fetch


def archive(sequences=2, extra=(), lead="DAVIS/", lacking=()):
    """A tiny DAVIS in a zip file without the files `lacking`, and entries (name or ZipInfo, content) beside it."""
    buffer = io.BytesIO()
    frames, labels = moving_shapes(3)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        names = [f"s{n}" for n in range(sequences)]
        for name in names:
            for index, (frame, ids) in enumerate(zip(frames, labels, strict=True)):
                for folder, picture, ending in (("JPEGImages", frame, "jpg"), ("Annotations", ids * 255, "png")):
                    if f"{folder}/{name}/{index}" in lacking:
                        continue
                    one = io.BytesIO()
                    Image.fromarray(picture).save(one, {"jpg": "JPEG", "png": "PNG"}[ending])
                    file.writestr(f"{lead}{folder}/480p/{name}/{index:05d}.{ending}", one.getvalue())
        file.writestr(f"{lead}ImageSets/480p/val.txt",
                      "".join(f"/JPEGImages/480p/s1/{i:05d}.jpg /Annotations/480p/s1/{i:05d}.png\n" for i in range(3)))
        file.writestr(f"{lead}JPEGImages/1080p/s0/00000.jpg", b"not needed")
        for entry, content in extra:
            file.writestr(entry, content)
    return buffer.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; its attributes are the ways in which it fails."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.ranges, self.stop_after, self.says, self.asked = content, '"1"', True, None, None, []
        self.status, self.begins = None, None
        self.url = f"http://127.0.0.1:{self.server_address[1]}/d.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        s, start = self.server, 0
        s.asked.append(self.headers.get("Range"))
        if s.status:
            return self.send_error(s.status)
        if s.ranges and self.headers.get("Range") and self.headers.get("If-Range", s.etag) == s.etag:  # as RFC 9110 has it
            start = int(self.headers["Range"][6:-1]) if s.begins is None else s.begins
            if start >= len(s.content):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(s.content) - 1}/{len(s.content)}")
        else:
            self.send_response(200)
        body = s.content[start:]
        if s.says != "nothing":
            self.send_header("Content-Length", str(s.says or len(body)))
        if s.etag:
            self.send_header("ETag", s.etag)
        self.end_headers()
        self.wfile.write(body[: s.stop_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server(archive()) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def davis(server, monkeypatch, tmp_path):
    """`vosedu download davis2016` goes to the server; the working directory is tmp_path."""
    monkeypatch.setitem(ARCHIVES, "davis2016", Archive(server.url, 2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*flags):
    return main(["download", "davis2016", "--out", "d é", "--quiet", *flags])


def test_addresses_are_https():
    assert all(a.url.startswith("https://") and a.url.endswith(".zip") for a in ARCHIVES.values())


def test_fetch_unpack_evaluate(davis, server, capsys):
    """Only the 480p files and lists arrive, the 2016 list of paths is understood, and nothing else lies about."""
    assert run() == 0
    assert server.asked == [None] and [p.name for p in davis.iterdir()] == ["d é"]
    assert sorted(p.name for p in (davis / "d é").iterdir()) == ["Annotations", "ImageSets", "JPEGImages"]
    assert [p.name for p in (davis / "d é" / "JPEGImages").iterdir()] == ["480p"]
    assert [s.name for s in datasets.load("davis2016", davis / "d é")] == ["s1"]
    import hashlib

    assert hashlib.sha256(server.content).hexdigest() in capsys.readouterr().out
    assert main(["evaluate", "davis2016", "--root", "d é", "--results", "d é/Annotations/480p", "--quiet"]) == 0
    assert run() == 2 and "is there already" in capsys.readouterr().err


def test_a_broken_connection_is_taken_up_where_it_broke(davis, server, capsys):
    server.stop_after = 1000
    assert run() == 2
    err = capsys.readouterr().err
    assert f"broke off after 1000 of {len(server.content)} bytes" in err and err.count("\n") == 1
    assert (davis / "d é.zip.part").stat().st_size == 1000 and not (davis / "d é").exists()
    assert run() == 2 and (davis / "d é.zip.part").stat().st_size == 2000
    server.stop_after = None
    assert run() == 0 and server.asked == [None, "bytes=1000-", "bytes=2000-"]
    assert [p.name for p in davis.iterdir()] == ["d é"]


def test_a_part_that_is_whole_already(davis, server):
    server.stop_after = 1000
    run()
    (davis / "d é.zip.part").write_bytes(server.content)  # killed before the last rename
    assert run() == 0 and (davis / "d é").is_dir()


def test_a_server_without_ranges_starts_again(davis, server):
    server.stop_after, server.ranges = 1000, False
    run()
    server.stop_after = None
    assert run() == 0 and server.asked == [None, "bytes=1000-"]


def test_a_file_that_changed_is_not_spliced(server, tmp_path):
    """The server gives the new file's rest to whoever asks for it without naming the old file."""
    server.content = b"old " * 500
    server.stop_after = 1000
    with pytest.raises(InputError, match="broke off after 1000 of 2000"):
        fetch(server.url, tmp_path / "a", quiet=True)
    server.stop_after, server.etag, server.content = None, '"2"', b"new " * 500
    fetch(server.url, tmp_path / "a", quiet=True)
    assert (tmp_path / "a").read_bytes() == server.content and server.asked == [None, "bytes=1000-"]


def test_the_old_part_is_gone_before_the_notes_name_another_file(server, tmp_path, monkeypatch):
    """Else a process that is killed between the two would take the old part for one of the new file."""
    server.content, server.stop_after = b"old " * 500, 1000
    with pytest.raises(InputError):
        fetch(server.url, tmp_path / "a", quiet=True)

    def killed(path, notes):
        assert notes["validator"] == '"2"' and not (tmp_path / "a.part").exists()
        raise KeyboardInterrupt

    server.stop_after, server.etag = None, '"2"'
    monkeypatch.setattr(download, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, tmp_path / "a", quiet=True)


def test_a_server_that_does_not_say_how_long_the_file_is(server, tmp_path):
    server.says = "nothing"
    fetch(server.url, tmp_path / "a", quiet=True)
    assert (tmp_path / "a").read_bytes() == server.content


def test_a_part_of_another_address_is_not_spliced(server, tmp_path):
    server.content = b"old " * 500
    server.stop_after = 1000
    with pytest.raises(InputError):
        fetch(server.url, tmp_path / "a", quiet=True)
    server.stop_after, server.content = None, b"new " * 500
    fetch(server.url + "?2", tmp_path / "a", quiet=True)
    assert (tmp_path / "a").read_bytes() == server.content and server.asked == [None, None]


def test_another_part_than_asked_for_is_refused(server, tmp_path):
    server.stop_after = 1000
    with pytest.raises(InputError, match="broke off"):
        fetch(server.url, tmp_path / "a", quiet=True)
    server.stop_after, server.begins = None, 500
    with pytest.raises(InputError, match=r"another part of the file.*delete a\.part"):
        fetch(server.url, tmp_path / "a", quiet=True)
    assert not (tmp_path / "a").exists() and (tmp_path / "a.part").read_bytes() == server.content[:1000]
    server.begins = None
    fetch(server.url, tmp_path / "a", quiet=True)
    assert (tmp_path / "a").read_bytes() == server.content


def test_without_a_validator_a_part_is_not_trusted(davis, server):
    server.stop_after, server.etag = 1000, None
    run()
    server.stop_after = None
    assert run() == 0 and server.asked == [None, None]


def test_a_wrong_size_is_refused(davis, server, capsys):
    server.says = len(server.content) + 500
    assert run() == 2 and "broke off after" in capsys.readouterr().err
    (davis / "d é.zip.part").write_bytes(b"0" * (server.says + 1))
    server.says = None
    assert run() == 2 and "discarded" in capsys.readouterr().err and not (davis / "d é.zip.part").exists()


def test_damaged_notes_begin_again(davis, server):
    server.stop_after = 1000
    run()
    (davis / "d é.zip.part.json").write_text("{")
    server.stop_after = None
    assert run() == 0 and server.asked == [None, None]


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_page_is_no_archive(davis, server, capsys, status):
    server.status = status
    assert run() == 2
    err = capsys.readouterr().err
    assert f"answers {status}" in err and err.count("\n") == 1 and list(davis.iterdir()) == []


def test_no_server_is_one_line(davis, monkeypatch, capsys):
    monkeypatch.setitem(ARCHIVES, "davis2016", Archive("http://127.0.0.1:9/d.zip", 2))
    assert run() == 2
    err = capsys.readouterr().err
    assert "connection" in err and err.count("\n") == 1 and list(davis.iterdir()) == []


def test_https_is_not_left():
    request = download.urllib.request.Request("https://example.org/a.zip")
    with pytest.raises(InputError, match="not https"):
        download._Redirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/a.zip")


def entry(name, mode=0o100644, **fields):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    for field, value in fields.items():
        setattr(info, field, value)
    return info


HOSTILE = {
    "parent": ([(entry("DAVIS/JPEGImages/480p/../../../../x.jpg"), b"")], "written elsewhere"),
    "absolute": ([(entry("/etc/x.jpg"), b"")], "written elsewhere"),
    "drive": ([(entry("C:/x.jpg"), b"")], "written elsewhere"),
    "backslash": ([(entry("..\\x.jpg"), b"")], "written elsewhere|link"),
    "link": ([(entry("DAVIS/JPEGImages/480p/s0/l.jpg", 0o120777), b"/etc/passwd")], "link or a device"),
    "device": ([(entry("DAVIS/JPEGImages/480p/s0/l.jpg", 0o020666), b"")], "link or a device"),
    "bomb": ([(entry("DAVIS/JPEGImages/480p/s0/l.jpg"), b"\0" * 1_500_000)], "would grow"),
    "twice": ([(entry("DAVIS/JPEGImages/480p/s0/00000.JPG".replace("JPG", "jpg").replace("s0", "S0")), b"")], "twice"),
    "other": ([(entry("DAVIS/JPEGImages/480p/s9/00000.jpg"), b"")], "s9 lacks some"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives_are_refused_before_anything_is_unpacked(davis, server, capsys, kind):
    extra, words = HOSTILE[kind]
    server.content = archive(extra=extra)
    assert run() == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "deleted" in err
    assert any(word in err for word in words.split("|"))
    assert list(davis.iterdir()) == [] and not (davis.parent / "x.jpg").exists()


def test_no_archive_and_another_number_of_sequences(davis, server, capsys):
    server.content = b"<html>we have moved</html>"
    assert run() == 2 and "no zip archive" in capsys.readouterr().err
    server.content = archive(3)
    assert run() == 2 and "3 sequences of frames and 3 of masks, 2 are due" in capsys.readouterr().err
    assert list(davis.iterdir()) == []


@pytest.mark.parametrize("lacking, words", [
    (["Annotations/s1/2"], "2 sequences of frames and 2 of masks, 2 are due; s1 lacks some"),
    (["JPEGImages/s0/1"], "2 sequences of frames and 2 of masks, 2 are due; s0 lacks some"),
    ([f"Annotations/s1/{i}" for i in range(3)], "2 sequences of frames and 1 of masks, 2 are due; s1 lacks some"),
])
def test_an_archive_with_missing_masks_or_frames_is_refused(davis, server, capsys, lacking, words):
    server.content = archive(lacking=lacking)
    assert run() == 2 and words in capsys.readouterr().err
    assert list(davis.iterdir()) == []


def test_a_damaged_file_inside_leaves_no_folder(davis, server, capsys):
    """Every file's CRC-32 is checked: a flipped bit in the middle is found, and no half of a data set stays."""
    content = bytearray(server.content)
    with zipfile.ZipFile(io.BytesIO(server.content)) as file:
        content[file.getinfo("DAVIS/JPEGImages/480p/s1/00001.jpg").header_offset + 500] ^= 16
    server.content = bytes(content)
    assert run() == 2 and "damaged" in capsys.readouterr().err and list(davis.iterdir()) == []


def test_a_full_disk_is_said_and_the_archive_kept(davis, monkeypatch, capsys):
    usage = shutil.disk_usage(davis)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
        assert run() == 2
    assert "free some space" in capsys.readouterr().err and [p.name for p in davis.iterdir()] == ["d é.zip"]
    assert run() == 0


def test_limits_of_size_and_number(davis, server, monkeypatch, capsys):
    for name in ("MAX_FILES", "MAX_UNPACKED"):
        with monkeypatch.context() as patch:
            patch.setattr(download, name, 3)
            assert run() == 2 and "refused" in capsys.readouterr().err


def test_an_encrypted_entry_is_refused(tmp_path):
    with pytest.raises(InputError, match="encrypted"):
        download._target(entry("DAVIS/JPEGImages/480p/s/0.jpg", flag_bits=1))


def test_a_killed_unpacking_is_cleared_away(davis):
    (davis / ".vosedu-d é-unpacking").mkdir()
    assert run() == 0 and [p.name for p in davis.iterdir()] == ["d é"]


def test_unknown_name(capsys):
    assert main(["download", "davis2018"]) == 2 and "davis2016, davis2017" in capsys.readouterr().err


def test_fetch_alone_keeps_its_notes_until_it_is_done(server, tmp_path):
    server.stop_after = 100
    with pytest.raises(InputError):
        fetch(server.url, tmp_path / "a", quiet=True)
    assert json.loads((tmp_path / "a.part.json").read_text()) == {
        "url": server.url, "validator": '"1"', "total": len(server.content)}
    server.stop_after = None
    fetch(server.url, tmp_path / "a", quiet=True)
    assert (tmp_path / "a").read_bytes() == server.content and [p.name for p in tmp_path.iterdir()] == ["a"]
