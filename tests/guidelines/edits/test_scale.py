from __future__ import annotations

import pytest
from torch import nn

from shufflekit.compiling import capture
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import RefusedError
from shufflekit.guidelines.edits.scale import scaled


def test_widths_that_must_stay_are_refused() -> None:
    graph = capture(nn.Conv2d(24, 17, 1).eval(), (1, 24, 28, 28))
    with pytest.raises(RefusedError, match="none of the widths can change"):
        scaled(Widths(graph), {graph.outputs[0]: 2.0})
