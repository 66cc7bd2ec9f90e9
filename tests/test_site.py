"""The documentation site: every page is there, links lead somewhere, nothing is asked of another host, the search finds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import shufflekit as sk
from tests.browser import chromium as chromium
from tests.browser import requests_of

pytest.importorskip("material", reason="needs the extra [docs]")
pytest.importorskip("mkdocstrings", reason="needs the extra [docs]")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make site` builds it: a warning, such as of a link that leads nowhere, fails it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Links(HTMLParser):
    """What a page fetches, and where it leads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.followed: list[str] = []
        self.names: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attributes if value is not None}
        self.names |= {found[name] for name in ("id", "name") if name in found}
        if "src" in found or (tag == "link" and found.get("rel") in ("stylesheet", "icon")):
            self.fetched.append(found.get("src") or found["href"])
        elif tag == "a" and "href" in found:
            self.followed.append(found["href"])


def test_all_pages_and_links_are_there(site: Path) -> None:
    pages = {page.name: Links(page) for page in site.glob("*.html") if page.name != "404.html"}  # which is for any folder
    assert set(pages) == {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")}
    for name, links in pages.items():
        assert links.fetched, name
        for address in links.fetched + links.followed:
            parts = urlsplit(address)
            if address in links.fetched:
                assert not parts.netloc, f"{name} fetches {address}"
            if parts.netloc or parts.scheme:
                continue
            target = parts.path or name
            assert (site / unquote(target)).exists(), f"{name} leads to {address}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].names | {""}, f"{name} leads to {address}"


def test_the_reference_has_every_public_name(site: Path) -> None:
    names = Links(site / "api.html").names
    assert {f"shufflekit.{name}" for name in sk.__all__ if name != "__version__"} <= names


def test_examples_of_the_reference_are_code(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    assert "<blockquote>" not in page  # as which >>> is read elsewhere
    assert page.count('<span class="gp">&gt;&gt;&gt; </span>') > 10


@pytest.fixture
def server(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()


def test_the_search_finds_and_no_other_host_is_asked(chromium: Any, server: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    requests_of(chromium)
    chromium.get(f"{server}/index.html")
    wait = WebDriverWait(chromium, 60)
    box = wait.until(lambda page: page.find_element(By.CSS_SELECTOR, "[data-md-component=search-query]"))
    chromium.execute_script("document.getElementById('__search').click()")
    wait.until(lambda _: box.is_displayed())
    box.send_keys("find_package")
    first = "const link = document.querySelector('.md-search-result__link'); return link && link.pathname"
    wait.until(lambda page: page.execute_script(first) == "/c.html")  # in one call: results come anew with every letter
    assert [url for url in requests_of(chromium) if not url.startswith((server, "data:", "blob:"))] == []
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []
