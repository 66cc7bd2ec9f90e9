"""Sums of floats end in JavaScript as in Python, whatever follows them and however many pixels there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

import shufflekit as sk

PRELU = nn.PReLU(10)
nn.init.uniform_(PRELU.weight, -1, 1)
ENDS = {
    "none": nn.Identity(),
    "relu": nn.ReLU(),
    "clamp": nn.Hardtanh(-0.2, 0.3),
    "leaky": nn.LeakyReLU(0.3),
    "prelu": PRELU,
    "hardswish": nn.Hardswish(),
}
SIZES = ((1, 1), (1, 3), (5, 5), (7, 7), (4, 8), (10, 10))  # around tiles of 24 pixels, and one or three beyond vectors


def test_every_end_of_every_tile(javascript: Callable[[str], list[Any]], plans: Path) -> None:
    needed = {}
    for end, activation in ENDS.items():
        for height, width in SIZES:
            name = f"{end}{height}x{width}"
            layers = nn.Sequential(nn.Conv2d(13, 10, 1), activation, nn.Conv2d(10, 10, 1), activation)
            engine = sk.compile(layers.eval(), (1, 13, height, width))
            engine.save(plans / f"{name}.plan")
            x = np.random.default_rng(height).standard_normal((1, 13, height, width)).astype(np.float32)
            x.tofile(plans / f"{name}.x")
            needed[name] = engine(x).reshape(-1)
    (found,) = javascript(f"""
        const all = {{}};
        for (const instructionSet of ["simd128", "relaxed"])
            for (const name of {list(needed)}) {{
                const net = await sk.load(`${{plans}}/${{name}}.plan`, {{ instructionSet }});
                all[`${{instructionSet}} ${{name}}`] = Array.from(net.run(new Float32Array(await bytes(`${{name}}.x`))));
            }}
        return all;""")
    assert len(found) == 2 * len(ENDS) * len(SIZES)
    for name, output in found.items():
        np.testing.assert_allclose(output, needed[name.split()[1]], rtol=1e-4, atol=1e-5, err_msg=name)
