from __future__ import annotations

import csv
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import shufflekit as sk
from shufflekit.cli.fit import _show
from shufflekit.cli.main import main
from shufflekit.cost.from_graph import count_graph
from shufflekit.profiling.difference import Difference
from shufflekit.profiling.latency import Latency
from shufflekit.runtime import Engine
from tests.fitting.test_record import a_fit
from tests.graph.from_onnx.files import Case, model, node, onnx


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopwatch that takes a ns for each multiply-add, of a step, a network and a race."""
    monkeypatch.chdir(tmp_path)
    module = import_module("shufflekit.fitting.fit")
    monkeypatch.setattr(module, "on_engine", lambda graph, threads: graph)

    def measure(graph, rounds: int, clock) -> Latency:
        ms = count_graph(graph).flops / 1e6
        return Latency(ms, ms, ms, rounds)

    def race(before, after, clock) -> Difference:
        return Difference(count_graph(before).flops, count_graph(after).flops, 0, 0, 0, 12)

    def time_steps(engine: Engine, passes: int) -> np.ndarray:
        return np.tile([(1 + step.flops) / 1e9 for step in engine.program.steps], (passes, 1))

    monkeypatch.setattr(module, "measure_loaded", measure)
    monkeypatch.setattr(module, "measure_difference", race)
    monkeypatch.setattr(Engine, "time_steps", time_steps)


def test_the_result_is_a_network_that_train_takes_a_table_and_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["shufflenet_v2_x0_5", "--shape", "1x3x32x32", "--budget-ms", "1.2"]
    assert main(["fit", *words, "-o", "found", "--table", "fit.csv", "--plot", "fit.svg", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    network = sk.create_model("found")
    assert 1.15 < found["best"]["ms"] <= 1.2
    assert sk.profile(network, (1, 3, 32, 32)).flops == found["best"]["flops"]
    assert network.options == found["options"]
    rows = list(csv.DictReader(Path("fit.csv").read_text().splitlines()))
    published = {f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")}
    assert {row["name"] for row in rows} == {"frontier", "best", *published}
    picture = Path("fit.svg").read_text()
    assert "shufflenet_v2_x0_5" in picture
    assert "published beyond 2.4 ms" in picture


def test_a_table_on_the_terminal_has_the_call_and_the_published_ones(capsys: pytest.CaptureFixture[str]) -> None:
    _show(a_fit(call="build_model()"), Path("found"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == a_fit().answer
    assert [line.split()[0] for line in lines if line.strip()][3:] == [
        "half",
        "found",
        "net",
        "whole",
        "build_model()",
        "untrained,",
    ]
    assert lines[-1] == "untrained, in found"


def test_an_onnx_file_becomes_another(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Conv", ["a", "v"], ["b"]), node("Relu", ["b"])]
    weights = {"w": np.ones((8, 3, 1, 1), np.float32), "v": np.ones((4, 8, 1, 1), np.float32)}
    onnx.save(model(Case((3, 8, 8), nodes, weights), 13), "net.onnx")
    assert main(["fit", "net.onnx", "--budget-ms", "0.02", "--seconds", "1", "-o", "wide.onnx"]) == 0
    wide = onnx.load("wide.onnx").graph.initializer[0].dims[0]
    assert wide > 8
    assert main(["fit", "net.onnx", "--budget-ms", "0.02", "-o", "net.onnx"]) == 2
    assert main(["fit", "net.onnx", "--budget-ms", "0.02", "--plot", "net.pdf"]) == 2
    assert "plot: must be .svg or .png, found net.pdf" in capsys.readouterr().err
