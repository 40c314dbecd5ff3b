"""Files are written whole, under paths that cannot leave the store, at any fsspec URL."""

from __future__ import annotations

import hashlib
import io
import secrets
from pathlib import Path

import pytest

from service.artifacts import Artifacts
from service.errors import NoRoom, StoreUnavailable


@pytest.fixture(params=["file", "memory"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    url = (tmp_path / "store").as_uri() if request.param == "file" else f"memory://{secrets.token_hex(8)}"
    return Artifacts(url)


def test_what_is_written_is_read(artifacts: Artifacts, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"three")
    written: dict[str, bytes | io.BytesIO | Path] = {
        "a/one": b"one",
        "a/b/two": io.BytesIO(b"two"),
        "three.bin": source,
    }
    digests = {path: artifacts.write(path, content) for path, content in written.items()}
    for path, content in {"a/one": b"one", "a/b/two": b"two", "three.bin": b"three"}.items():
        assert artifacts.read(path) == content
        assert digests[path] == hashlib.sha256(content).hexdigest()
        assert artifacts.exists(path)


def test_a_file_is_written_anew(artifacts: Artifacts) -> None:
    artifacts.write("a", b"first")
    artifacts.write("a", b"second")
    assert artifacts.read("a") == b"second"


def test_deleting_is_repeatable(artifacts: Artifacts) -> None:
    artifacts.write("a/b/c", b"x")
    artifacts.write("a/d", b"x")
    for _ in range(2):
        artifacts.delete("a/d")
        artifacts.delete_folder("a/b")
    assert not artifacts.exists("a/d")
    assert not artifacts.exists("a/b/c")
    with pytest.raises(FileNotFoundError):
        artifacts.read("a/d")


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "", "a//b", ".hidden", "a/.b", "a\\b", "a\0", "ä", "a\n"]
)
def test_no_path_leads_outside(artifacts: Artifacts, path: str) -> None:
    with pytest.raises(ValueError, match="no path of an artifact"):
        artifacts.write(path, b"x")


def test_local_files_are_whole_private_and_alone(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path.joinpath("store").as_uri())
    artifacts.write("a/b", b"x")
    path = artifacts.local_path("a/b")
    assert path is not None
    assert [found.name for found in path.parent.iterdir()] == ["b"]
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_store_elsewhere_has_no_local_path() -> None:
    assert Artifacts("memory://elsewhere").local_path("a") is None


def test_too_little_room_is_said_with_what_there_is_and_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tmp_path.joinpath("not", "made", "yet").as_uri()
    Artifacts(url).check_room()
    Artifacts(url, min_free=1).check_room()
    monkeypatch.setattr("service.disk_room.free_bytes", lambda folder: 1536 << 10)
    Artifacts(url).check_room()
    Artifacts(url, min_free=1536 << 10).check_room()
    with pytest.raises(NoRoom, match=r"the artifact store has 1\.5 MiB free; needed are 2 GiB \(DELTAQ_MIN_FREE\)"):
        Artifacts(url, min_free=2 << 30).check_room()
    Artifacts("memory://elsewhere", min_free=2 << 30).check_room()


class Breaking(io.BytesIO):
    """A source that breaks off after its first piece, as a full disk does to a target."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError(28, "No space left on device")
        return super().read(3)


def test_a_broken_write_leaves_nothing(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path.joinpath("store").as_uri())
    artifacts.write("a/b", b"before")
    with pytest.raises(StoreUnavailable, match="No space left"):
        artifacts.write("a/b", Breaking(b"abcdef"))
    assert artifacts.read("a/b") == b"before"
    assert [path.name for path in tmp_path.joinpath("store", "a").iterdir()] == ["b"]


def test_a_store_that_is_no_folder_is_unavailable(tmp_path: Path) -> None:
    tmp_path.joinpath("store").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        Artifacts(tmp_path.joinpath("store").as_uri()).write("a/b", b"x")
