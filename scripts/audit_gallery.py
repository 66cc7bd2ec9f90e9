"""Writes docs/audits.md: audits of five well-known networks, with pictures of their pages as a browser shows them.

python scripts/audit_gallery.py [--seconds 20] [--only resnet50] [--no-measure]

It measures for half a minute a network and engine, and keeps what it found in results/audits; chromium and chromedriver take
the pictures (scripts/set_up_browser.sh).
Two of the networks are ONNX files of ../shared/data/onnx.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import cyclopts
from selenium import webdriver

from shufflekit.records import read_text
from shufflekit.report import read_json, render_text

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURES, KEPT = ROOT / "docs" / "audits.md", ROOT / "docs" / "audits", ROOT / "results" / "audits"
FILES = ROOT.parent / "shared" / "data" / "onnx"
# What is audited, and on which engines.
NETWORKS: dict[str, tuple[str, ...]] = {
    "shufflenet_v2_x1_0": ("native", "onnxruntime", "openvino", "torch"),
    "mobilenet_v2_x1_0": ("native", "onnxruntime"),
    "resnet50": ("native",),
    "squeezenet_fp16.onnx": ("native", "onnxruntime"),
    "st_mobilenetv2_035.onnx": ("native", "openvino"),
}
HEAD = """# Five audits

What `shufflekit audit` says of well-known networks ([how](audit.md)), and the top of the page that `--report` writes. Two are
ONNX files. Written by `python scripts/audit_gallery.py`.
"""


def audit(*words: str) -> None:
    """Runs the command, where the files are: their names alone are in what it writes."""
    code = subprocess.run(
        [sys.executable, "-m", "shufflekit", "audit", *words], cwd=FILES, check=False, stdout=subprocess.DEVNULL
    )
    if code.returncode > 1:  # 1: a change gains
        raise SystemExit(f"{words[0]}: the audit failed")


def picture(page: Path, to: Path) -> None:
    """The top of a page, as wide as a small window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (
        "headless",
        "disable-gpu",
        "disable-dev-shm-usage",
        "hide-scrollbars",
        *(["no-sandbox"] * (os.geteuid() == 0)),
    ):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        screen = {"width": 900, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get(page.as_uri())
        browser.save_screenshot(str(to))
    finally:
        browser.quit()


def section(name: str) -> str:
    """A network's part of the page: its answers, its picture, and its text."""
    subjects = read_json(read_text(KEPT / f"{name}.json"), label=name)
    answers = "\n".join(f"- {subject.audit.answer}" for subject in subjects)
    picture_of = f"![The page about {name}]({PICTURES.name}/{name}.png)"
    text = f"<details><summary>What the command prints</summary>\n<pre>\n{escape(render_text(subjects))}\n</pre>\n</details>"
    return f"## {name}\n\n{answers}\n\n{picture_of}\n\n{text}\n"


def main(*, seconds: float = 20.0, only: str = "", measure: bool = True) -> None:
    """Audit, draw and write.

    Args:
        seconds: of races, on each engine.
        only: one network; the others stay as they are in results/audits.
        measure: else all stay as they are, and are drawn and written anew.
    """
    for folder in (PICTURES, KEPT):
        folder.mkdir(exist_ok=True)
    for name, engines in NETWORKS.items():
        kept = KEPT / f"{name}.json"
        if measure and only in ("", name):
            audit(name, "--engine", *engines, "--seconds", str(seconds), "-o", str(kept))
            kept.write_text(json.dumps(json.loads(kept.read_text()), separators=(",", ":")) + "\n")  # 18,000 lines otherwise
        if kept.exists():
            with TemporaryDirectory() as folder:
                page = Path(folder) / "page.html"
                audit(str(kept), "--report", str(page))
                picture(page, PICTURES / f"{name}.png")
    sections = [section(name) for name in NETWORKS if (KEPT / f"{name}.json").exists()]
    PAGE.write_text("\n".join([HEAD, *sections]), encoding="utf-8")


if __name__ == "__main__":
    cyclopts.run(main)
