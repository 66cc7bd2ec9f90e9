"""The network that comes with the package, compiled: it needs neither PyTorch nor a download."""

from __future__ import annotations

from pathlib import Path

# `shufflekit compile shufflenet_v2_x0_5 --weights cifar10 -o` writes it.
BUNDLED_PLAN = Path(__file__).parent / "files" / "shufflenet_v2_x0_5.cifar10.plan"
BUNDLED_TAG = "cifar10"  # of the weights that it was made of
