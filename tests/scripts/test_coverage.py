"""The page of what compiles is what was kept of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    name = "coverage_of_networks"  # another package is called as the file is
    spec = spec_from_file_location(name, ROOT / "scripts" / "coverage.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "scripts"))
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "scripts"))
    del sys.modules[name]


def test_the_page_is_that_of_the_kept_results(script: ModuleType) -> None:
    kept = script.read(ROOT / "results" / "coverage.json")
    assert kept
    assert script.table(kept) == (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("parity", "of_torch", "is_right"),
    [(1e-5, None, True), (2e-4, 1e-4, True), (4e-4, 1e-4, False), (2e-4, 1e-6, False), (float("nan"), 1e-4, False)],
)
def test_what_is_right(script: ModuleType, parity: float, of_torch: float | None, is_right: bool) -> None:
    assert script.Outcome("timm/a", True, parity=parity, of_torch=of_torch).is_right == is_right
    assert not script.Outcome("timm/a", False, "operator b").is_right


def test_a_network_is_tried(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {"a": lambda name, size: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), getattr(nn, name)())}
    monkeypatch.setattr(script, "SOURCES", sources)
    found = script.tried("a/ReLU", (1, 3, 8, 8))
    assert (found.compiled, found.is_right, found.missing) == (True, True, "")
    assert script.tried("a/Cumulated", (1, 3, 8, 8)).missing.startswith("not built: AttributeError")
    monkeypatch.setattr(nn, "Cumulated", lambda: nn.Unflatten(1, (2, 5)), raising=False)
    assert script.tried("a/Cumulated", (1, 3, 8, 8)).missing.startswith("not built: RuntimeError")
    assert "aten.glu" in script.tried("a/GLU", (1, 3, 8, 8)).missing or script.tried("a/GLU", (1, 3, 8, 8)).compiled


def test_norms_are_calibrated_on_noise(script: ModuleType) -> None:
    network = script.calibrated(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), (1, 3, 8, 8))
    assert not network.training
    mean = network[1].running_mean
    torch.testing.assert_close(mean, network[0].bias, rtol=0, atol=0.2)
    assert (network[1].running_var < 1).all()
