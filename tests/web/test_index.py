"""What JavaScript gets of a plan is what Python gets of it, and so is what it is told of a broken one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

import shufflekit as sk
from shufflekit.errors import InputError
from shufflekit.runtime import Engine
from tests.runtime.lively import enliven, images

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

SETS = ("simd128", "relaxed")
NETWORKS = {"shufflenet_v1_g3_x0_25": 96, "shufflenet_v2_x0_5": 128}  # and the side of their images

JavaScript = Callable[[str], list[Any]]


@pytest.fixture(scope="module")
def networks(plans: Path) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Plans in the folder; for each its images and what Python makes of them."""
    found = {}
    for name, side in NETWORKS.items():
        x = images(3, (3, side, side))
        network = enliven(sk.create_model(name), x)
        for plan, rounding in ((name, None), (f"{name}_int8", x)):
            engine = sk.compile(network, (1, 3, side, side), int8=rounding)
            engine.save(plans / f"{plan}.plan")
            x.tofile(plans / f"{plan}.x")
            found[plan] = x, engine(x)
    return found


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("plan", [*NETWORKS, *(f"{name}_int8" for name in NETWORKS)])
def test_a_network_gives_what_python_gives(javascript: JavaScript, networks: Any, plan: str, instruction_set: str) -> None:
    _, needed = networks[plan]
    (found,) = javascript(f"""
        const net = await sk.load(`${{plans}}/{plan}.plan`, {{ instructionSet: "{instruction_set}" }});
        const x = new Float32Array(await bytes("{plan}.x"));
        return [net.instructionSet, Array.from(net.run(x)), Array.from(net.run(x.subarray(0, x.length / 3)))];""")
    name, every, first = found
    assert name == instruction_set
    assert np.abs(needed[0] - needed[1]).max() > 0.1 * np.abs(needed).max()
    every = np.array(every, np.float32).reshape(needed.shape)
    assert np.array_equal(every[:1], np.array([first], np.float32))
    if plan.endswith("int8"):
        assert np.array_equal(every, needed)
    else:
        assert np.abs(every - needed).max() <= 1e-4 * np.abs(needed).max()


@pytest.mark.parametrize("instruction_set", SETS)
def test_two_threads_give_the_bits_of_one(javascript: JavaScript, networks: Any, instruction_set: str) -> None:
    """Of one image, whose steps are shared, and of three, which are; also after a run that was refused."""
    (found,) = javascript(f"""
        const found = {{}};
        for (const plan of {json.dumps([*networks])}) {{
            const [one, two] = await Promise.all([1, 2].map((threads) =>
                sk.load(`${{plans}}/${{plan}}.plan`, {{ threads, instructionSet: "{instruction_set}" }})));
            const x = new Float32Array(await bytes(`${{plan}}.x`)), first = x.subarray(0, x.length / 3);
            found[plan] = [[one.threads, two.threads]];
            for (const images of [x, first, first]) {{
                const right = one.run(images), y = two.run(images);
                found[plan].push(y.length === right.length && y.every((value, i) => value === right[i]));
            }}
            two.close();
            try {{ two.run(first) }} catch (error) {{ found[plan].push(error.message) }}
        }}
        return found;""")
    assert found == {plan: [[1, 2], True, True, True, "the network stopped: it was closed"] for plan in networks}


def test_what_is_no_number_of_threads_is_refused(javascript: JavaScript, several: Engine) -> None:
    for threads in ("0", "1.5", "65", "'2'"):
        found = javascript(f"return await sk.load(`${{plans}}/several.plan`, {{ threads: {threads} }})")
        assert found == [None, "InputError", f"threads: must be 1 to 64, found {threads.strip(chr(39))}"]


@pytest.mark.parametrize("javascript", ["node"], indirect=True)
def test_threads_are_for_isolated_pages(javascript: JavaScript, several: Engine) -> None:
    found = javascript("""
        globalThis.crossOriginIsolated = false;
        await sk.load(`${plans}/several.plan`);
        return await sk.load(`${plans}/several.plan`, { threads: 2 });""")
    assert found == [None, "InputError", "threads: must be 1 on a page that is not cross-origin isolated, found 2"]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_that_the_engine_refuses_leaves_the_network_as_it_was(javascript: JavaScript, plans: Path, threads: int) -> None:
    """4096 images of 1 MiB of outputs each are more than 32 bits address."""
    sk.compile(nn.Linear(1, 1 << 18), (1, 1), name="wide").save(plans / "wide.plan")
    (result,) = javascript(f"""
        const net = await sk.load(`${{plans}}/wide.plan`, {{ threads: {threads} }}), x = Float32Array.of(0.5, -2);
        const before = net.run(x), messages = [];
        for (let i = 0; i < 2; ++i)
            try {{ net.run(new Float32Array(4096)) }} catch (error) {{ messages.push(error.message) }}
        const after = net.run(x);
        const same = before.every((value, i) => value === after[i]);
        return [messages, before.length, after.length, before[7] !== before[8], same];""")
    messages, *others = result
    assert others == [1 << 19, 1 << 19, True, True]
    assert len({*messages}) == 1
    found = re.fullmatch(r"memory: a run must take at most 3221225472 bytes in WebAssembly, found (\d+)", messages[0])
    assert found
    assert 4096 << 20 <= int(found[1]) < 4100 << 20


class Several(nn.Module):
    def forward(self, a: Any, b: Any) -> Any:
        return a.relu() + b, a.mean((2, 3))


@pytest.fixture(scope="module")
def several(plans: Path) -> Engine:
    """Two inputs and two outputs."""
    engine = sk.compile(Several().eval(), {"a": (1, 2, 3, 4), "b": (1, 2, 3, 4)}, name="several", info={"by": "us"})
    engine.save(plans / "several.plan")
    return engine


def test_a_plan_describes_itself(javascript: JavaScript, several: Engine) -> None:
    (found,) = javascript("return [await sk.load(`${plans}/several.plan`)].map(({...net}) => net)[0]")
    inputs = [{"name": name, "type": "float32", "batched": True, "shape": [2, 3, 4], "size": 24} for name in "ab"]
    assert found["name"] == "several"
    assert found["inputs"] == inputs
    assert [(each["shape"], each["type"]) for each in found["outputs"]] == [([2, 3, 4], "float32"), ([2], "float32")]
    assert found["info"]["by"] == "us"
    assert found["batched"] is True
    assert found["instructionSet"] == "relaxed"  # what Node from 22 and Chromium from 114 on have


def test_several_inputs_and_outputs(javascript: JavaScript, several: Engine) -> None:
    a = (np.arange(48, dtype=np.float32) - 20).reshape(2, 2, 3, 4)
    b = np.full((2, 2, 3, 4), 0.5, np.float32)
    (found,) = javascript("""
        const net = await sk.load(`${plans}/several.plan`);
        const a = Float32Array.from({ length: 48 }, (_, i) => i - 20), b = new Float32Array(48).fill(0.5);
        return net.run(a, b).map((y) => Array.from(y));""")
    for values, needed in zip(found, several(a, b), strict=True):
        np.testing.assert_allclose(np.array(values, np.float32).reshape(needed.shape), needed, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "inputs: must be 2, found 0"),
        ("[1], [2]", "a: must be a Float32Array, found Array"),
        ("null, null", "a: must be a Float32Array, found null"),
        ("new Uint8Array(24), new Float32Array(24)", "a: must be a Float32Array, found Uint8Array"),
        ("new Float32Array(24), new Float32Array(25)", "b: must have 2 x 3 x 4 numbers for each image, found 25"),
        ("new Float32Array(24), new Float32Array(0)", "b: must have 2 x 3 x 4 numbers for each image, found 0"),
        ("new Float32Array(24), new Float32Array(48)", "inputs: must have the same number of images, found 1, 2"),
    ],
)
def test_wrong_inputs_are_refused_and_the_network_goes_on(
    javascript: JavaScript, several: Engine, arguments: str, message: str
) -> None:
    found = javascript(f"""
        const net = await sk.load(`${{plans}}/several.plan`), zeros = new Float32Array(24);
        try {{ net.run({arguments}) }} catch (error) {{ return [net.run(zeros, zeros).length, error.name, error.message] }}""")
    assert found == [[2, "InputError", message]]


def broken_plans(content: bytes) -> dict[str, bytes]:
    """Names and contents, each broken in another way."""
    flipped = bytearray(content)
    flipped[-1] ^= 1
    return {
        "empty": b"",
        "text": b"no plan at all, but some text",
        "half": content[: len(content) // 2],
        "flipped": bytes(flipped),
        "other_field": changed(content, "float32", "float16"),
        "huge": changed(content, '["N", 2, 3, 4]', '["N", 99999, 99999, 4]'),
    }


def changed(content: bytes, old: str, new: str) -> bytes:
    """The same plan with another text once, without the checksum that would tell."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    plan = header["__metadata__"]["plan"]
    assert old in plan
    header["__metadata__"] = {"plan": plan.replace(old, new, 1)}
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def test_broken_plans_are_refused_in_pythons_words(javascript: JavaScript, several: Engine, plans: Path) -> None:
    several.save(plans / "sound.plan")
    broken = broken_plans((plans / "sound.plan").read_bytes())
    messages = {}
    for name, content in broken.items():
        (plans / f"{name}.plan").write_bytes(content)
        with pytest.raises(InputError) as refused:
            Engine(content)
        messages[name] = str(refused.value)
    assert len(set(messages.values())) == len(broken)
    for name, message in messages.items():
        assert javascript(f"return await sk.load(await bytes('{name}.plan'))") == [None, "InputError", message]
        address_of = javascript(f"return await sk.load(`${{plans}}/{name}.plan`)")
        assert address_of[1] == "InputError"
        assert address_of[2].endswith(f"{name}.plan: {message}")


def test_what_32_bits_do_not_reach_is_refused(javascript: JavaScript, several: Engine, plans: Path) -> None:
    """The engine of 64 bits takes it: its memory would only be asked for by a run."""
    several.save(plans / "sound.plan")
    content = changed((plans / "sound.plan").read_bytes(), '["N", 2, 3, 4]', '["N", 32768, 32768, 1]')
    Engine(content)
    (plans / "large.plan").write_bytes(content)
    _, name, message = javascript("return await sk.load(await bytes('large.plan'))")
    assert name == "InputError"
    found = re.fullmatch(r"memory: a run must take at most 3221225472 bytes in WebAssembly, found (\d+)", message)
    assert found
    assert 0 < int(found[1]) - 4 * 32768**2 < 10_000


def test_what_is_no_address_is_refused(javascript: JavaScript) -> None:
    assert javascript("return await sk.load(null)") == [None, "InputError", "plan: must be an address or bytes, found null"]
    _, name, message = javascript("return await sk.load(`${plans}/missing.plan`)")
    assert name == "InputError"
    assert "missing.plan: cannot be read: " in message
    assert "\n" not in message
    found = javascript("return await sk.load(`${plans}/several.plan`, { instructionSet: 'mmx' })")
    assert found == [None, "InputError", "instructionSet: must be one of simd128, relaxed, found mmx"]
