"""Weights from a file or an address, over a real connection to this machine."""

import hashlib
import http.server
import io
import pickle
import threading

import pytest
import torch

from screenbook.errors import InputError
from screenbook.finetune.backbones import build_backbone, load_weights
from screenbook.sources.weights import FOLDER, find_weights


def bytes_of(thing, **options):
    file = io.BytesIO()
    torch.save(thing, file, **options)
    return file.getvalue()


BODY = bytes_of(build_backbone("cnn", 3).state_dict())
DIGEST = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SCREENBOOK_HOME", str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def refusal(place):
    with pytest.raises(InputError) as caught:
        find_weights(str(place))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_address_is_fetched_once_and_its_name_checked(address, tmp_path):
    server, base = address
    name = f"small-{DIGEST[:8]}.pth"
    for _ in range(2):
        state, origin = find_weights(f"{base}/models/{name}?download=1")
        assert origin == name
    assert len(server.asked) == 1
    assert (tmp_path / FOLDER / name).read_bytes() == BODY
    load_weights(build_backbone("cnn", 6), state, origin)


def test_a_file_that_is_not_what_its_name_says_is_thrown_away(address, tmp_path):
    _, base = address
    assert "its name says 0123abcd" in refusal(f"{base}/small-0123abcd.pth")
    assert not (tmp_path / FOLDER / "small-0123abcd.pth").exists()


def test_a_file_that_changed_on_disk_is_fetched_again(address, tmp_path):
    server, base = address
    find_weights(f"{base}/plain.pth")
    (tmp_path / FOLDER / "plain.pth").write_bytes(b"spoiled")
    find_weights(f"{base}/plain.pth")
    assert len(server.asked) == 2


def test_what_cannot_be_had_names_the_address_and_the_mend(address):
    _, base = address
    said = refusal(f"{base}/missing.pth")
    assert "answers 404" in said
    assert "name a file that is on this machine" in said
    assert "names no file" in refusal(f"{base}/")


def test_a_local_file_is_read_as_it_is(tmp_path):
    (tmp_path / "mine.pth").write_bytes(BODY)
    state, origin = find_weights(str(tmp_path / "mine.pth"))
    assert origin == "mine.pth"
    assert torch.equal(state["blocks.0.0.weight"], build_backbone("cnn", 3).blocks[0][0].weight)
    assert "did you mean 'mine.pth'" in refusal(tmp_path / "mime.pth")


class Harm:
    def __reduce__(self):
        return open, (HARMED, "w")


HARMED = ""


def test_code_in_a_file_is_not_run(tmp_path):
    global HARMED
    HARMED = str(tmp_path / "harmed")
    for i, body in enumerate((pickle.dumps(Harm()), bytes_of({"a": Harm()}))):
        path = tmp_path / f"bad{i}.pth"
        path.write_bytes(body)
        assert "nothing in it was run" in refusal(path)
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("thing", [torch.ones(3), {"net": {"a": torch.ones(2)}}, {}, [1, 2]])
def test_what_is_no_state_dict_is_refused(tmp_path, thing):
    (tmp_path / "odd.pth").write_bytes(bytes_of(thing))
    assert "is no state dict" in refusal(tmp_path / "odd.pth")


@pytest.mark.parametrize("body", [b"", b"not a file of torch", BODY[: len(BODY) // 2]])
def test_damaged_files_are_refused(tmp_path, body):
    (tmp_path / "cut.pth").write_bytes(body)
    assert "cut.pth" in refusal(tmp_path / "cut.pth")
