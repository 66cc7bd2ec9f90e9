"""What all tests share: data that is large or not ours to ship lies beside the repository; its absence is a visible skip."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # how busy the machine is says nothing of the code
settings.load_profile("patient")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """What tests share has none; a skip in pytest's own import of it would leave half a module to tests that import it."""
    is_shared = collection_path.suffix == ".py" and not collection_path.name.startswith(("test_", "conftest"))
    return True if is_shared else None


@pytest.fixture(autouse=True)
def _forget_modules_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module that a test writes and imports is no other test's, though it have the same name."""
    before = set(sys.modules)
    yield
    temporary = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(temporary):
            del sys.modules[name]


def _folder(name: str) -> Path:
    folder = _SHARED / name
    if not folder.is_dir():
        pytest.skip(f"../shared/{name} is not there")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images and weights; skips where it is absent."""
    return _folder("data")


@pytest.fixture(scope="session")
def shared_papers() -> Path:
    """Folder of both papers' tables as JSON; skips where it is absent."""
    return _folder("papers")
