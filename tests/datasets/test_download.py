"""Downloads, from a server of this machine."""

import gzip
import hashlib
import http.server
import sys
import threading

import pytest
from test_cifar import LABELS, Small, packed
from test_mnist import Small as SmallMNIST

from tinynet.datasets import DatasetError

needs_pooch = pytest.mark.skipif("not __import__('importlib').util.find_spec('pooch')")


class Server(http.server.BaseHTTPRequestHandler):
    files: dict = {}  # noqa: RUF012
    asked: list = []  # noqa: RUF012
    failures = 0

    def do_GET(self):
        type(self).asked.append(self.path)
        content = self.files.get(self.path)
        if type(self).failures:
            type(self).failures -= 1
            content = None
        self.send_response(200 if content is not None else 503)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts
    handler = type("Handler", (Server,), {"files": {}, "asked": [], "failures": 0})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        handler.url = f"http://127.0.0.1:{served.server_port}"
        yield handler
        served.shutdown()
        thread.join()


def offer_cifar(server, monkeypatch, content=None):
    archive = packed()
    monkeypatch.setattr(Small, "url", f"{server.url}/cifar.tar.gz")
    monkeypatch.setattr(Small, "tgz_md5", hashlib.md5(archive).hexdigest())
    server.files["/cifar.tar.gz"] = archive if content is None else content


@needs_pooch
def test_an_archive_is_fetched_once_and_unpacked(server, monkeypatch, tmp_path):
    offer_cifar(server, monkeypatch)
    assert Small(tmp_path, train=False, download=True).targets == LABELS[2].tolist()
    assert Small(tmp_path, train=True, download=True).targets == LABELS[:2].reshape(-1).tolist()
    assert server.asked == ["/cifar.tar.gz"]


@needs_pooch
def test_a_failure_is_tried_again(server, monkeypatch, tmp_path):
    offer_cifar(server, monkeypatch)
    server.failures = 2
    Small(tmp_path, download=True)
    assert len(server.asked) == 3


@needs_pooch
@pytest.mark.parametrize("content", [packed()[:-10], b"<html>", None])
def test_other_content_is_refused_and_not_left_behind(server, monkeypatch, tmp_path, content):
    offer_cifar(server, monkeypatch, content)
    server.failures = 99 if content is None else 0
    reason = "503" if content is None else "other content"
    with pytest.raises(DatasetError, match=rf"cifar.tar.gz could not be downloaded.*\({reason}"):
        Small(tmp_path, download=True)
    assert len(server.asked) == 4
    assert not list(tmp_path.iterdir())


@needs_pooch
def test_the_second_mirror_helps(server, monkeypatch, tmp_path):
    files = {name: gzip.compress(content, mtime=0) for name, content in SmallMNIST.CONTENT.items()}
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(SmallMNIST, "PACKED_MD5", sums)
    monkeypatch.setattr(SmallMNIST, "MIRRORS", (f"{server.url}/gone/", f"{server.url}/here/"))
    server.files |= {f"/here/{name}.gz": content for name, content in files.items()}
    assert len(SmallMNIST(tmp_path, train=False, download=True)) == 3
    assert (tmp_path / "Small" / "raw" / "t10k-labels-idx1-ubyte.gz").is_file()
    assert len(SmallMNIST(tmp_path, train=False)) == 3
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte.gz is neither"):
        SmallMNIST(tmp_path)


def test_without_the_library_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DatasetError, match=r"needs the library pooch .*'tinynet\[download\]'"):
        Small(tmp_path, download=True)
