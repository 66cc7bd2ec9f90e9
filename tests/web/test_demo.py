"""The page of `make web`, over https and by an address that is not localhost: a photo, the camera, a plan that is none."""

from __future__ import annotations

import re
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

import shufflekit as sk
from shufflekit.classify.classifier import engine_classifier
from tests.web.conftest import ROOT

pytest.importorskip("selenium")
pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

from selenium.webdriver.support.ui import WebDriverWait


@pytest.fixture(scope="module")
def page(engine: None, plans: Path, serve_web: ModuleType, chromium: Any) -> Iterator[Any]:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, which makes the certificate")
    network = sk.create_model("shufflenet_v2_x0_5", pretrained="cifar10")
    sk.compile(network, (1, 3, 32, 32), input="uint8").save(plans / "ten.plan")
    running, address = serve_web.secure_server(plans)
    with running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        chromium.get(f"{address}/demo/")
        WebDriverWait(chromium, 60).until(lambda b: b.execute_script("return document.body.dataset.ready"))
        yield chromium
        running.shutdown()


def texts(page: Any) -> list[str]:
    """In one call: the page makes its list anew."""
    return page.execute_script("return Array.from(document.querySelectorAll('#found li'), item => item.innerText)")


def test_the_page_is_isolated_and_has_its_plan(page: Any) -> None:
    assert page.execute_script("return [crossOriginIsolated, isSecureContext, location.hostname !== 'localhost']") == [True] * 3
    assert page.find_element("id", "network").text == "ten: 32 x 32 x 3 uint8, relaxed"
    assert page.find_element("id", "error").text == ""


def test_a_photo_gets_pythons_classes(page: Any, plans: Path, tmp_path: Path) -> None:
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8), np.ones((9, 9, 1), np.uint8))
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    needed = engine_classifier(sk.load(plans / "ten.plan"))(pixels)
    page.find_element("id", "photo").send_keys(str(tmp_path / "photo.png"))
    WebDriverWait(page, 30).until(lambda _: texts(page))
    assert [line.split() for line in texts(page)] == [[each.label, f"{each.score * 100:.1f}", "%"] for each in needed]
    assert float(page.find_element("id", "ms").text) > 0


def test_two_threads_see_the_same(page: Any) -> None:
    before = texts(page)
    page.execute_script("const s = document.getElementById('threads'); s.value = '2'; s.onchange()")
    WebDriverWait(page, 30).until(
        lambda b: b.find_element("id", "network").text == "ten: 32 x 32 x 3 uint8, relaxed, 2 threads"
    )
    WebDriverWait(page, 30).until(lambda b: len(b.find_elements("css selector", "#times tbody tr")) == 2)
    assert texts(page) == before
    assert page.find_element("id", "error").text == ""


def test_the_camera_runs_until_it_is_stopped(page: Any) -> None:
    page.find_element("id", "camera").click()
    WebDriverWait(page, 30).until(lambda b: b.find_element("id", "fps").text not in ("", "–", "0"))
    assert page.find_element("id", "error").text == ""
    assert page.find_element("id", "camera").text == "Stop"
    assert page.execute_script("return document.getElementById('view').width") == 640
    page.find_element("id", "camera").click()
    assert page.find_element("id", "camera").text == "Camera"


def test_what_is_no_plan_is_refused_in_one_line(page: Any, tmp_path: Path) -> None:
    (tmp_path / "text.plan").write_text("no plan at all")
    page.find_element("id", "plan").send_keys(str(tmp_path / "text.plan"))
    WebDriverWait(page, 30).until(lambda b: b.find_element("id", "error").text)
    assert page.find_element("id", "error").text == "plan: the file is no safetensors file, or cut off"


def test_the_page_works_without_its_server(
    chromium: Any, engine: None, plans: Path, serve_web: ModuleType, tmp_path: Path
) -> None:
    """Also what was opened after it was loaded, and on two threads, whose engine is another file."""
    networks = {name: nn.Sequential(nn.Flatten(), nn.Linear(48, 10)).eval() for name in ("first", "second")}
    folder = tmp_path / "plans"
    folder.mkdir()
    for name, network in networks.items():
        sk.compile(network, (1, 3, 4, 4), name=name).save(folder / f"{name}.plan")
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(tmp_path / "photo.png")

    def choose(what: str, value: str) -> None:
        chromium.execute_script(
            "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.onchange()", what, value
        )

    def until(text: str) -> None:
        WebDriverWait(chromium, 30).until(lambda b: text in b.find_element("tag name", "body").text)

    with serve_web.server(folder) as running:
        address = f"http://localhost:{running.server_port}/demo/"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        chromium.get(address)
        until("Works without a network now")
        choose("plans", "second.plan")
        until("second: 3 x 4 x 4")
        running.shutdown()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=10)
    chromium.get("about:blank")
    chromium.get(address)
    until("Works without a network now")
    until("first: 3 x 4 x 4")
    assert chromium.execute_script("return crossOriginIsolated")
    chromium.find_element("id", "photo").send_keys(str(tmp_path / "photo.png"))
    WebDriverWait(chromium, 30).until(lambda _: len(texts(chromium)) == 5)
    choose("plans", "second.plan")
    until("second: 3 x 4 x 4 float32, relaxed")
    choose("threads", "2")
    WebDriverWait(chromium, 30).until(lambda b: "second, 2 threads" in b.find_element("id", "times").text)
    assert chromium.find_element("id", "error").text == ""


def test_the_first_page_of_the_docs_names_a_photo(
    chromium: Any, engine: None, server: str, plans: Path, tmp_path: Path
) -> None:
    (page,) = re.findall(r"^```html\n(.*?)^```$", (ROOT / "docs" / "browser.md").read_text(), re.M | re.S)
    assert len(page.splitlines()) == 10
    (plans / "page.html").write_text(page)
    network = sk.create_model("shufflenet_v2_x0_5", pretrained="cifar10")
    sk.compile(network, (1, 3, 32, 32), input="uint8").save(plans / "net.plan")
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8), np.ones((9, 9, 1), np.uint8))
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    chromium.get(f"{server}/plans/page.html")
    chromium.find_element("id", "file").send_keys(str(tmp_path / "photo.png"))
    WebDriverWait(chromium, 30).until(lambda b: b.find_element("id", "found").text != "Choose a photo")
    assert chromium.find_element("id", "found").text == engine_classifier(sk.load(plans / "net.plan"))(pixels)[0].label
