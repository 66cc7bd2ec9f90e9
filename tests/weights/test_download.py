"""Against a server on this machine that can cut connections, ignore ranges and serve the wrong file."""

import hashlib
import http.server
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shufflekit.errors import DownloadError, WeightsError
from shufflekit.models import build_model
from shufflekit.weights import create
from shufflekit.weights.checkpoints import Checkpoint
from shufflekit.weights.download import cache_folder, checkpoint_path

CONTENT = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = 0
        if server.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = server.cuts.pop(0) if server.cuts else len(body)
        self.wfile.write(body[start:end])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """A server with `files`; `ranges` off ignores them; each of `cuts` ends one answer at that byte of the file."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.ranges, server.cuts, server.requests = {"/net.pth": CONTENT}, True, [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SHUFFLEKIT_OFFLINE", raising=False)
    return tmp_path / "cache"


def checkpoint(server, content=CONTENT, kind="sha256-prefix", url="/net.pth"):
    full = hashlib.new("sha1" if kind == "sha1" else "sha256", content).hexdigest()
    return Checkpoint(
        "shufflenet_v2_x0_5",
        "imagenet.test",
        "net.pth",
        url=f"http://127.0.0.1:{server.server_address[1]}{url}",
        hash=full[:10] if kind == "sha256-prefix" else full,
        hash_kind=kind,
        source="here",
        license="none",
    )


def seen(cache):
    return sorted(path.name for path in cache.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("kind", ["sha256-prefix", "sha256", "sha1"])
def test_a_good_file_is_fetched_once(kind, server, cache):
    path = checkpoint_path(checkpoint(server, kind=kind))
    assert path == cache / "net.pth"
    assert path.read_bytes() == CONTENT
    assert (cache / "net.pth.sha256").read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  net.pth\n"
    assert seen(cache) == ["net.pth", "net.pth.sha256"]
    assert checkpoint_path(checkpoint(server, kind=kind)) == path
    assert server.requests == [None]


def test_the_file_inside_a_zip(server, cache, tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("net.pth", CONTENT)
    server.files["/net.pth.zip"] = (tmp_path / "z").read_bytes()
    assert checkpoint_path(checkpoint(server, kind="sha1", url="/net.pth.zip")).read_bytes() == CONTENT
    assert seen(cache) == ["net.pth", "net.pth.sha256"]


def test_no_zip(server, cache):
    server.files["/net.pth.zip"] = b"an error page"
    with pytest.raises(WeightsError, match=r"net.pth.zip: not the zip it should be, deleted: File is not a zip file"):
        checkpoint_path(checkpoint(server, url="/net.pth.zip"))
    assert seen(cache) == []


def test_a_wrong_hash_leaves_nothing(server, cache):
    wanted = checkpoint(server)
    server.files["/net.pth"] = CONTENT[:-1] + b"x"
    with pytest.raises(
        WeightsError, match=f"net.pth is not what its origin published: .* must be {wanted.hash}, found"
    ) as caught:
        checkpoint_path(wanted)
    assert "\n" not in str(caught.value)
    assert seen(cache) == []


def test_a_cut_connection_is_taken_up_where_it_broke(server, cache):
    server.cuts = [300_000]
    assert checkpoint_path(checkpoint(server)).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-"]


def test_a_download_cut_for_good_is_resumed_by_the_next_run(server, cache):
    server.cuts = [100_000, 200_000, 300_000]
    with pytest.raises(DownloadError, match=r"cannot fetch http.*net.pth \(cut off after 300000 of 1024000 bytes\)"):
        checkpoint_path(checkpoint(server))
    assert seen(cache) == ["net.pth.part"]
    server.requests.clear()
    assert checkpoint_path(checkpoint(server)).read_bytes() == CONTENT
    assert server.requests == ["bytes=300000-"]


def test_a_server_without_ranges_sends_it_all_again(server, cache):
    server.ranges, server.cuts = False, [300_000]
    assert checkpoint_path(checkpoint(server)).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"another file's beginning", CONTENT + b"more"], ids=["wrong", "too long"])
def test_a_part_of_something_else_is_given_up(left, server, cache):
    cache.mkdir()
    (cache / "net.pth.part").write_bytes(left)
    assert checkpoint_path(checkpoint(server)).read_bytes() == CONTENT
    assert server.requests[-1] is None


def test_not_found(server, cache):
    with pytest.raises(DownloadError, match=r"shufflenet_v2_x0_5 imagenet.test: cannot fetch .*/no.pth \(HTTP Error 404"):
        checkpoint_path(checkpoint(server, url="/no.pth"))
    assert len(server.requests) == 1


@pytest.mark.parametrize("by", ["variable", "no server"])
def test_offline_says_what_from_where_and_how(by, server, cache, monkeypatch):
    wanted = checkpoint(server)
    if by == "variable":
        monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    else:
        wanted = replace(wanted, url="http://127.0.0.1:1/net.pth")
    with pytest.raises(DownloadError) as caught:
        checkpoint_path(wanted)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"shufflenet_v2_x0_5 imagenet.test: cannot fetch {wanted.url} (")
    assert message.endswith(f"; fetch it elsewhere and put it at {cache / 'net.pth'}, or pass --weights FILE")
    assert ("SHUFFLEKIT_OFFLINE is set" if by == "variable" else "refused") in message
    # As the message says:
    (cache / "net.pth").write_bytes(CONTENT)
    assert checkpoint_path(wanted).read_bytes() == CONTENT
    assert seen(cache) == ["net.pth", "net.pth.sha256"]
    assert server.requests == []


def test_a_zip_put_there_by_hand(server, cache, monkeypatch):
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    wanted = checkpoint(server, url="/net.pth.zip")
    with pytest.raises(DownloadError, match=r"put it at .*net.pth.zip, or pass"):
        checkpoint_path(wanted)
    with zipfile.ZipFile(cache / "net.pth.zip", "w") as archive:
        archive.writestr("net.pth", CONTENT)
    assert checkpoint_path(wanted).read_bytes() == CONTENT
    assert seen(cache) == ["net.pth", "net.pth.sha256"]


def test_a_zip_of_another_file_put_there_by_hand(server, cache):
    cache.mkdir()
    with zipfile.ZipFile(cache / "net.pth.zip", "w") as archive:
        archive.writestr("net.pth", b"something else")
    with pytest.raises(
        WeightsError, match=r"^shufflenet_v2_x0_5 imagenet.test: net.pth is not what its origin published: .*; deleted"
    ):
        checkpoint_path(checkpoint(server, url="/net.pth.zip"))


def test_a_wrong_file_put_there_by_hand(server, cache):
    cache.mkdir()
    (cache / "net.pth").write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"net.pth is not what its origin published: .*; delete .*net.pth to fetch it$"):
        checkpoint_path(checkpoint(server))
    assert seen(cache) == ["net.pth"]


def test_a_file_that_changed_since(server, cache):
    path = checkpoint_path(checkpoint(server))
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"changed since it was fetched \(SHA-256 \w+\); delete it to fetch it again"):
        checkpoint_path(checkpoint(server))


@pytest.mark.parametrize("record", [b"", b"\n", b"\xff\x00\x9d", b"no hash at all", b"a" * 1000, None], ids=str)
def test_a_broken_record_locks_nobody_out(record, server, cache):
    path = checkpoint_path(checkpoint(server))
    place = cache / "net.pth.sha256"
    place.unlink()
    place.mkdir() if record is None else place.write_bytes(record)
    assert checkpoint_path(checkpoint(server)) == path
    assert record is None or place.read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  net.pth\n"
    path.write_bytes(b"another file")
    with pytest.raises(WeightsError, match="net.pth"):
        checkpoint_path(checkpoint(server))
    path.unlink()
    assert checkpoint_path(checkpoint(server)).read_bytes() == CONTENT


def test_a_wrong_record_goes_with_its_file(server, cache):
    path = checkpoint_path(checkpoint(server))
    (cache / "net.pth.sha256").write_text(f"{'0' * 64}  net.pth\n")
    with pytest.raises(WeightsError, match="changed since it was fetched .*; delete it to fetch it again"):
        checkpoint_path(checkpoint(server))
    path.unlink()  # as the message says
    assert checkpoint_path(checkpoint(server)).read_bytes() == CONTENT


def test_a_cache_that_others_filled_is_read(server, cache, monkeypatch):
    path = checkpoint_path(checkpoint(server))

    def forbidden(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shufflekit.weights.download.FileLock", forbidden)
    assert checkpoint_path(checkpoint(server)) == path


def test_a_full_disk_while_recording(server, cache, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert checkpoint_path(checkpoint(server)).read_bytes() == CONTENT
    assert seen(cache) == ["net.pth"]


def encrypted(content):
    content = bytearray(content)
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize("kind", ["encrypted", "another file", "cut off", "bomb", "bad sum", "text"])
def test_zips_that_cannot_be_unpacked(kind, server, cache, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED if kind == "bomb" else zipfile.ZIP_STORED) as archive:
        archive.writestr("other" if kind == "another file" else "net.pth", bytes(150_000_000) if kind == "bomb" else CONTENT)
    content = (tmp_path / "a.zip").read_bytes()
    broken = {"encrypted": encrypted, "cut off": lambda c: c[:1000], "bad sum": lambda c: c.replace(CONTENT[:99], bytes(99), 1)}
    cache.mkdir()
    (cache / "net.pth.zip").write_bytes(b"text" if kind == "text" else broken.get(kind, bytes)(content))
    with pytest.raises(WeightsError, match="net.pth.zip: not the zip it should be, deleted: ") as caught:
        checkpoint_path(checkpoint(server, url="/net.pth.zip"))
    assert "\n" not in str(caught.value)
    assert seen(cache) == []


def test_a_cache_that_cannot_be_used(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="file: cannot be used as the cache"):
        checkpoint_path(checkpoint(server))


def test_two_at_once_fetch_once(server, cache):
    found = []
    threads = [threading.Thread(target=lambda: found.append(checkpoint_path(checkpoint(server)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cache / "net.pth"] * 4
    assert server.requests == [None]


def test_where_the_cache_is(monkeypatch):
    monkeypatch.delenv("SHUFFLEKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/shufflekit/weights")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/shufflekit/weights")


def test_from_the_server_into_a_network(server, cache, tmp_path, monkeypatch, randomise):
    origin = randomise(build_model("shufflenet_v2_x0_5", num_classes=10))
    torch.save(origin.state_dict(), tmp_path / "w.pth")
    content = server.files["/net.pth"] = (tmp_path / "w.pth").read_bytes()
    wanted = replace(checkpoint(server, content), num_classes=10, options={"num_classes": 10}, top1_error=39.4)
    monkeypatch.setattr(create, "find_checkpoint", lambda name, tag: wanted)
    model = create.create_model("shufflenet_v2_x0_5", "imagenet")
    assert torch.equal(model.fc.weight, origin.fc.weight)
    assert model.pretrained_cfg["url"] == wanted.url
    assert model.pretrained_cfg["top1_error"] == 39.4
    other = create.create_model("shufflenet_v2_x0_5", "imagenet", num_classes=3, in_chans=1, features_only=False)
    assert torch.equal(other.conv5[0].weight, origin.conv5[0].weight)
    assert (other.pretrained_cfg["num_classes"], other.pretrained_cfg["classes"]) == (3, None)
    maps = create.create_model("shufflenet_v2_x0_5", True, features_only=True, out_indices=(4,))
    assert torch.equal(maps.stage4[3].branch2[5].weight, origin.stage4[3].branch2[5].weight)
