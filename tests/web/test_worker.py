"""A network in a worker of a page: what it gives, what it refuses, and the names that are typed are those that are there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import shufflekit as sk
from tests.web.conftest import ROOT

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

JavaScript = Callable[[str], list[Any]]


@pytest.mark.parametrize("javascript", ["chromium"], indirect=True)
def test_a_worker_runs_refuses_and_goes_on(javascript: JavaScript, plans: Path) -> None:
    engine = sk.compile(nn.Conv2d(3, 2, 1), (1, 3, 4, 4), name="small")
    engine.save(plans / "small.plan")
    (found,) = javascript("""
        const net = await sk.loadInWorker(`${plans}/small.plan`), here = await sk.load(`${plans}/small.plan`);
        const x = Float32Array.from({ length: 96 }, (_, i) => i / 50 - 1), right = Array.from(here.run(x));
        const refused = await net.run(x.subarray(1)).catch((error) => [error instanceof sk.InputError, error.message]);
        const [a, b] = await Promise.all([net.run(x), net.run(x.subarray(48))]);
        const under_way = net.run(x).catch((error) => error.message);
        net.close();
        return [net.name, net.inputs[0].shape, refused, right, Array.from(a), Array.from(b), await under_way];""")
    name, shape, refused, right, a, b, closed = found
    assert closed == "the network stopped: it was closed"
    assert (name, shape) == ("small", [3, 4, 4])
    assert refused == [True, "x: must have 3 x 4 x 4 numbers for each image, found 95"]
    assert a == right
    assert b == right[32:]
    assert len({*a}) > 10


@pytest.mark.parametrize("javascript", ["chromium"], indirect=True)
def test_a_worker_refuses_a_broken_plan(javascript: JavaScript, plans: Path) -> None:
    (plans / "text.plan").write_text("no plan at all")
    _, name, message = javascript("return await sk.loadInWorker(`${plans}/text.plan`)")
    assert name == "InputError"
    assert message.endswith("text.plan: plan: the file is no safetensors file, or cut off")


def test_types_name_what_is_exported() -> None:
    """No compiler of TypeScript is at hand: names, at least, are compared."""
    source = (ROOT / "web" / "src" / "index.js").read_text()
    types = (ROOT / "web" / "src" / "index.d.ts").read_text()
    exported = set(re.findall(r"^export (?:async )?(?:function|class) (\w+)", source, re.M))
    exported |= set(re.findall(r"^export \{ (\w+) \};", source, re.M))
    assert exported == {"load", "loadInWorker", "InputError"}
    assert exported == set(re.findall(r"^export (?:function|class) (\w+)", types, re.M))
    of_net = set(re.findall(r"^  (\w+)\(.*\) \{$", source.split("class Net ")[1].split("\n}\n")[0], re.M)) - {"constructor"}
    typed = set(re.findall(r"^  (?:readonly )?(\w+)[:(]", types.split("interface Net ")[1].split("\n}\n")[0], re.M))
    assert of_net <= typed
    assert typed - of_net == {"name", "instructionSet", "threads", "batched", "inputs", "outputs", "info"}


def test_the_package_has_no_dependencies_and_all_its_files() -> None:
    package = json.loads((ROOT / "web" / "package.json").read_text())
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & package.keys()
    for path in package["exports"]["."].values():
        assert (ROOT / "web" / path).is_file()
