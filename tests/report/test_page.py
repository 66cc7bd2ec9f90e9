"""The page in a real browser: it sorts, filters and tells of points, asks nobody for anything and reports no error."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("altair")
pytest.importorskip("selenium")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from shufflekit.report import render_html
from tests.browser import chromium as chromium
from tests.browser import requests_of
from tests.report.subjects import RULES, a_subject


@pytest.fixture
def page(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    """The page of two networks, opened; afterwards, that there was no error and no request."""
    file = tmp_path / "report.html"
    file.write_text(render_html([a_subject("first"), a_subject("second")], RULES), encoding="utf-8")
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", a_screen(1200))
    chromium.get(file.as_uri())
    yield chromium
    assert chromium.get_log("browser") == []
    asked = requests_of(chromium)
    assert file.as_uri() in asked  # so requests are seen
    assert [url for url in asked if url != file.as_uri() and not url.startswith("data:")] == []


def a_screen(width: int) -> dict[str, Any]:
    return {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}


def column(page: Any, name: str) -> list[str]:
    """The texts of the rows that are shown, under one head of the table of operators."""
    heads = [head.text.strip(" ▲▼") for head in page.find_elements(By.CSS_SELECTOR, "#operators th")]
    place = heads.index(name) + 1
    cells = page.find_elements(By.CSS_SELECTOR, f"#operators tbody tr:not([hidden]) td:nth-child({place})")
    return [cell.text for cell in cells]


def test_a_click_sorts_and_another_turns_around(page):
    assert column(page, "module")[:5] == ["a.conv", "a", "b", "step0", "step2"]
    head = next(b for b in page.find_elements(By.CSS_SELECTOR, "#operators th button") if b.text == "ms")
    head.click()
    assert column(page, "ms") == ["2.000"] * 2 + ["1.000"] * 4 + ["0.400"] * 4
    head.click()
    assert column(page, "ms") == ["0.400"] * 4 + ["1.000"] * 4 + ["2.000"] * 2
    sorted_by = page.find_elements(By.CSS_SELECTOR, '#operators th:not([aria-sort="none"])')
    assert [(th.text.strip(" ▲▼"), th.get_attribute("aria-sort")) for th in sorted_by] == [("ms", "ascending")]
    next(b for b in page.find_elements(By.CSS_SELECTOR, "#operators th button") if b.text == "module").click()
    assert column(page, "module") == ["a", "a", "a.conv", "a.conv", "b", "b", "step0", "step0", "step2", "step2"]


def test_words_and_choices_filter(page):
    shown = page.find_element(By.ID, "shown")
    assert shown.text == "10 of 10 operators, 9.600 ms"
    page.find_element(By.ID, "words").send_keys("CONV 1x2x3x3")
    assert column(page, "module") == ["a.conv", "step0"] * 2
    Select(page.find_element(By.ID, "run")).select_by_visible_text("second, PyTorch")
    assert column(page, "module") == ["a.conv"]
    assert shown.text == "1 of 10 operators, 1.000 ms"
    page.find_element(By.ID, "words").clear()
    page.find_element(By.ID, "words").send_keys(" ")
    Select(page.find_element(By.ID, "category")).select_by_visible_text("data movement")
    assert (column(page, "operator"), column(page, "run")) == (["clone"], ["second, PyTorch"])
    Select(page.find_element(By.ID, "category")).select_by_visible_text("all")
    page.find_element(By.ID, "words").send_keys("G4")
    assert (column(page, "module"), column(page, "findings")) == (["a"], ["G4"])


def test_a_point_says_name_shape_ms_and_share(page):
    tip = page.find_element(By.ID, "tip")
    assert not tip.is_displayed()
    point = page.find_element(By.CSS_SELECTOR, '#roofline [aria-label^="a.conv"]')
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    page.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")
    ActionChains(page).move_to_element(point).perform()
    assert tip.text.splitlines() == ["a.conv (convolution)", "1x2x3x3 to 1x4x3x3", "1.000 ms", "25.0%"]
    ActionChains(page).move_to_element(page.find_element(By.TAG_NAME, "h1")).perform()
    assert not tip.is_displayed()
    page.execute_script("scrollTo(0, 0)")
    page.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")
    bar = page.find_element(By.CSS_SELECTOR, '#categories [aria-label*="data movement"]')
    ActionChains(page).move_to_element(bar).perform()
    assert tip.text.splitlines() == ["first, PyTorch", "data movement", "2.000 ms", "50.0%"]


def test_a_phone_shows_it_without_scrolling_aside(page):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", a_screen(360))
    wide = "return [document.documentElement.scrollWidth, innerWidth]"
    assert page.execute_script(wide) == [360, 360]


def test_dark_is_dark_and_light_is_light(page):
    def colours(scheme: str) -> tuple[int, int]:
        """Brightness, from 0 to 765, of page and ink of a chart."""
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        script = """
            const of = (element, what) => getComputedStyle(element)[what].match(/\\d+/g).slice(0, 3).map(Number)
                .reduce((a, b) => a + b);
            return [of(document.body, "backgroundColor"), of(document.querySelector("#roofline svg text"), "fill")]"""
        return tuple(page.execute_script(script))

    paper, ink = colours("light")
    assert paper > 700 > 150 > ink
    paper, ink = colours("dark")
    assert ink > 600 > 100 > paper
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_it_prints_with_its_rules_unfolded(page):
    assert not page.find_element(By.CSS_SELECTOR, "details").get_attribute("open")
    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert pdf.startswith(b"%PDF")
    assert page.find_element(By.CSS_SELECTOR, "details").get_attribute("open")
