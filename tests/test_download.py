"""Fetching over a real connection to a small server on this machine."""

import http.server
import threading
from collections import namedtuple

import pytest
import yaml

from screenbook.errors import InputError
from screenbook.sources import download
from screenbook.sources.download import fetch
from screenbook.sources.files import sha256

BODY = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves BODY under every path; says what it was asked, and can be told to fail."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.cut, self.body, self.tag = [], [], BODY, '"one"'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = 0
        if wanted and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        body = server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        # A connection that breaks: fewer bytes than announced.
        self.wfile.write(body[: server.cut.pop(0)] if server.cut else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    monkeypatch.setattr(download, "_CHUNK", 10_000)
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def register(home, server, path="file.bin", **facts):
    entry = {"name": "file.bin", "url": f"http://127.0.0.1:{server.server_port}/{path}", **facts}
    (home / "data").mkdir(exist_ok=True)
    (home / "data" / "registry.yml").write_text(yaml.safe_dump({"mine": {"files": [entry]}}))
    return home / "data" / "mine"


def digest_of(body, folder):
    (folder / "digest").write_bytes(body)
    return sha256(folder / "digest")


def refusal(*arguments):
    with pytest.raises(InputError) as caught:
        fetch(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_fetch_once(home, server):
    folder = register(home, server, sha256=digest_of(BODY, home), size=len(BODY))
    [path] = fetch("mine")
    assert path.read_bytes() == BODY
    assert names(folder) == ["SHA256SUMS", "file.bin"]
    fetch("mine")
    assert server.asked == [None]


def test_an_unknown_digest_is_recorded_and_checked_from_then_on(home, server):
    folder = register(home, server)
    fetch("mine")
    assert (folder / "SHA256SUMS").read_text() == f"{digest_of(BODY, home)}  file.bin\n"
    (folder / "file.bin").write_bytes(b"spoilt")
    fetch("mine")
    assert (folder / "file.bin").read_bytes() == BODY
    (folder / "file.bin").unlink()
    server.body, server.tag = b"another release", '"two"'
    assert "another sha256" in refusal("mine")


def test_a_wrong_digest_leaves_nothing(home, server):
    folder = register(home, server, sha256="0" * 64)
    message = refusal("mine")
    assert message.startswith("file.bin: what http://127.0.0.1")
    assert "FROM=folder" in message
    assert names(folder) == []


def test_a_good_file_survives_a_bad_download(home, server):
    folder = register(home, server, sha256="0" * 64)
    folder.mkdir(parents=True)
    (folder / "file.bin").write_bytes(b"old")
    refusal("mine")
    assert (folder / "file.bin").read_bytes() == b"old"


def test_a_broken_connection_is_taken_up_where_it_broke(home, server):
    register(home, server, sha256=digest_of(BODY, home))
    server.cut = [300_000, 200_000]
    [path] = fetch("mine")
    assert path.read_bytes() == BODY
    first, second, third = server.asked
    assert first is None
    begun = int(second.removeprefix("bytes=").rstrip("-"))
    assert 0 < begun <= 300_000
    assert begun < int(third.removeprefix("bytes=").rstrip("-")) <= 500_000


def test_a_download_that_keeps_breaking_goes_on_next_time(home, server):
    folder = register(home, server, sha256=digest_of(BODY, home))
    server.cut = [100_000, 100_000, 100_000]
    assert "cannot be reached" in refusal("mine")
    assert not (folder / "file.bin").exists()
    assert fetch("mine")[0].read_bytes() == BODY
    assert server.asked[3] != "bytes=0-"
    assert names(folder) == ["SHA256SUMS", "file.bin"]


def test_bytes_of_two_versions_are_never_joined(home, server):
    register(home, server)
    server.cut = [100_000, 100_000, 100_000]
    refusal("mine")
    server.body, server.tag = BODY[::-1], '"two"'
    assert fetch("mine")[0].read_bytes() == BODY[::-1]


def test_without_an_etag_it_starts_over(home, server):
    register(home, server)
    server.tag = ""
    server.cut = [100_000]
    assert fetch("mine")[0].read_bytes() == BODY
    assert server.asked == [None, None]


def test_not_found(home, server):
    register(home, server, path="missing")
    message = refusal("mine")
    assert "/missing answers 404" in message
    assert "data/README.md" in message
    assert server.asked == [None]  # an answer, not an accident: it is not asked again


def test_no_network(home, server):
    register(home, server)
    server.shutdown()
    server.server_close()
    message = refusal("mine")
    assert "cannot be reached (ConnectionError)" in message
    assert "FROM=folder" in message


@pytest.mark.parametrize("size", [None, len(BODY)])
def test_a_full_disk_is_seen_before_anything_is_written(home, server, monkeypatch, size):
    folder = register(home, server, size=size)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage(1000))
    assert "needs 1.0 MB and data/mine has 0.0 MB free" in refusal("mine")
    assert names(folder) == []


def test_from_a_folder(home, server, tmp_path):
    folder = register(home, server, sha256=digest_of(BODY, home))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "there is no such file" in refusal("mine", elsewhere)
    (elsewhere / "file.bin").write_bytes(b"other")
    assert "is not the file that is known" in refusal("mine", elsewhere)
    assert not (folder / "file.bin").exists()
    (elsewhere / "file.bin").write_bytes(BODY)
    fetch("mine", elsewhere)
    assert (folder / "file.bin").read_bytes() == BODY
    assert server.asked == []


def test_unknown_data_set(home, server):
    register(home, server)
    assert "'mime' is not known (did you mean 'mine'?)" in refusal("mime")


def test_the_registry_of_this_repository_is_complete():
    path = download.Path(__file__).resolve().parents[1] / "data" / "registry.yml"
    registry = yaml.safe_load(path.read_text())
    assert set(registry) == {
        *("rxrx19a", "bbbc021", "bbbc021_images", "rxrx1"),
        *("l1000_ht115", "l1000_a375", "tahoe_counts", "tahoe_metadata"),
    }
    for entry in registry.values():
        assert set(entry) == {"title", "page", "licence", "citation", "files"}
        for file in entry["files"]:
            assert file["url"].startswith("https://")
            assert file["url"].endswith(file["name"])
            assert len(file.get("sha256", "0" * 64)) == 64
