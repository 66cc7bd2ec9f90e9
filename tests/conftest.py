"""What all tests share: data that is large or not ours to ship lies beside the repository; its absence is a visible skip."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


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
