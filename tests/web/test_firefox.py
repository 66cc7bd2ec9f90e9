"""In Firefox: the answers of Python, by either instruction set that it has, on threads, in a worker; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shufflekit as sk
from shufflekit.detect.create import create_detector
from shufflekit.detect.runners import engine_detector
from tests.runtime.lively import enliven, images
from tests.web.test_photos import photo, put

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

pytestmark = pytest.mark.parametrize("javascript", ["firefox"], indirect=True)

JavaScript = Callable[[str], list[Any]]


def test_a_network_gives_what_python_gives(javascript: JavaScript, plans: Path) -> None:
    x = images(3, (3, 96, 96))
    network = enliven(sk.create_model("shufflenet_v1_g3_x0_25"), x)
    x.tofile(plans / "x")
    needed = {}
    for name, rounding in (("float32", None), ("int8", x)):
        engine = sk.compile(network, (1, 3, 96, 96), int8=rounding)
        engine.save(plans / f"{name}.plan")
        needed[name] = engine(x)
    (found,) = javascript("""
        const x = new Float32Array(await bytes("x")), found = {}, ways = [["simd128", 1], [undefined, 1], [undefined, 2]];
        for (const name of ["float32", "int8"]) {
            found[name] = [];
            for (const [instructionSet, threads] of ways) {
                const net = await sk.load(`${plans}/${name}.plan`, { instructionSet, threads });
                found[name].push([net.threads, ...net.run(x)]);
                net.close();
            }
            const worker = await sk.loadInWorker(`${plans}/${name}.plan`);
            found[name].push([0, ...await worker.run(x)]);
            worker.close();
        }
        return found;""")
    for name, right in needed.items():
        assert [threads for threads, *_ in found[name]] == [1, 1, 2, 0]
        for _, *values in found[name]:
            off = np.abs(np.array(values, np.float32).reshape(right.shape) - right).max()
            assert off <= (0 if name == "int8" else 1e-4 * np.abs(right).max())


def test_boxes_are_pythons(javascript: JavaScript, plans: Path) -> None:
    network = enliven(create_detector("nanodet_m_shufflenet_v2_x0_5", num_classes=5), images(2, (3, 96, 96)))
    network.pretrained_cfg = {**network.pretrained_cfg, "input_size": (3, 96, 96)}
    engine = sk.compile(network, (1, 3, 96, 96))
    engine.save(plans / "detector.plan")
    pixels = photo(120, 200)
    needed = engine_detector(engine, "nanodet_m_shufflenet_v2_x0_5")(pixels, 0.3)
    assert len(needed) > 5
    (found,) = javascript(f"return (await sk.load(`${{plans}}/detector.plan`)).detect({put(plans, 'photo', pixels)})")
    assert [each["label"] for each in found] == [each.label for each in needed]
    np.testing.assert_allclose([each["box"] for each in found], [each.box for each in needed], atol=0.01)


def test_what_is_no_plan_is_refused_in_one_line(javascript: JavaScript, plans: Path) -> None:
    (plans / "text.plan").write_text("no plan at all")
    found = javascript("return await sk.load(await bytes('text.plan'))")
    assert found == [None, "InputError", "plan: the file is no safetensors file, or cut off"]
