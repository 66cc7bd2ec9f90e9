"""A headless Chromium, for what tests open in a browser."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

# Without these Chromium itself asks its makers' hosts for this and that.
_QUIET = ("disable-quic", "no-first-run", "disable-background-networking", "disable-component-update")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("chromium and chromedriver are not installed: scripts/set_up_browser.sh")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (
        "headless",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-sync",
        "use-fake-device-for-media-stream",  # a camera that is always there, and nobody is asked
        "use-fake-ui-for-media-stream",
        *_QUIET,
        *(["no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(f"--{flag}")
    options.accept_insecure_certs = True  # servers of tests make their own
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield found
    found.quit()


def requests_of(chromium: Any) -> list[str]:
    """The addresses that were asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
