"""The pure parts of a race, on times written down by hand, and real turns on stand-ins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shufflekit.bench.race import Race, Row, Subject, converted, headline, mean_ratio, prepare, take_turns
from shufflekit.bench.runtimes import RUNTIMES
from shufflekit.errors import ShufflekitError
from shufflekit.export import Format


def test_ratios_are_of_the_best_peer() -> None:
    rows = (
        Row("shufflekit", "1", "timed", times_ms=(2.0, 1.0, 9.0)),
        Row("MNN", "1", "timed", times_ms=(3.0, 2.5, 3.0)),
        Row("ncnn", "1", "timed", times_ms=(4.0, 2.0, 5.0)),
    )
    one = Race("net", 30_000_000, rows)
    assert [row.engine for row in one.peers] == ["MNN", "ncnn"]
    assert (one.ratio, one.best_ratio) == (1.5, 2.0)
    assert one.share(60e9) == pytest.approx(0.25)  # 30 M in 2 ms are 15 G/s


def test_the_mean_is_geometric_and_leaves_out_who_ran_alone() -> None:
    def one(ours: float, peer: float | None) -> Race:
        rows = [Row("shufflekit", "1", "timed", times_ms=(ours,))]
        rows += [Row("MNN", "1", "timed", times_ms=(peer,))] if peer else [Row("MNN", "", "skipped", "missing")]
        return Race("net", 1, tuple(rows))

    assert mean_ratio([one(1.0, 1.0), one(1.0, 4.0), one(1.0, None)]) == pytest.approx(2.0)
    assert mean_ratio([one(1.0, None)]) is None


def test_the_headline_divides_any_engine_by_ours() -> None:
    large = Race("large", 1, (Row("ncnn", "1", "timed", times_ms=(20.0,)), Row("shufflekit", "1", "failed")))
    both = (Row("ncnn", "1", "timed", times_ms=(0.5,)), Row("shufflekit", "1", "timed", times_ms=(1.0,)))
    small = Race("small", 1, both)
    assert headline([large, small], "large", "small") == (20.0, 20.0)
    assert headline([small], "large", "small") is None
    assert headline([small, large], "small", "large") is None


def test_everyone_gets_the_same_turns() -> None:
    calls = {"a": 0, "b": 0}

    def call(name: str) -> None:
        calls[name] += 1

    rounds = []
    times, _ = take_turns({name: (lambda name=name: call(name)) for name in calls}, 3, 2, lambda: rounds.append(1))
    assert calls == {"a": 9, "b": 9}  # one more a turn, which does not count
    assert [len(spent) for spent in times.values()] == [6, 6]
    assert len(rounds) == 3


class StandIn(Format):
    """Writes nothing that matters, and answers as it is told."""

    suffixes = (".stand-in",)

    def __init__(self, name: str, package: str, answer: object) -> None:
        self.name, self.packages, self.answer = name, (package,), answer

    def write(self, model, shape, stem, settings) -> None:
        self.files(stem)[0].write_text("")

    def load(self, stem, threads):
        if isinstance(self.answer, Exception):
            raise self.answer
        return lambda x: [np.full((len(x), 4), self.answer, np.float32)]


class Ones(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_ones(len(x), 4)


def test_a_missing_a_wrong_and_a_broken_runtime_get_a_row(tmp_path: Path) -> None:
    field = [
        StandIn("Right", "numpy", 1.0005),
        StandIn("Missing", "no_such_package", 1.0),
        StandIn("Wrong", "numpy", 1.01),
        StandIn("Broken", "numpy", RuntimeError("no such operator\nand a page of text")),
    ]
    said: list[str] = []
    entry = prepare(Subject("ones", Ones()), (1, 3, 8, 8), 1, field, tmp_path, said.append)
    assert list(entry.runs) == ["Right"]
    assert entry.runs["Right"].difference == pytest.approx(0.0005, rel=1e-3)
    notes = {row.engine: (row.state, row.note) for row in entry.untimed}
    assert notes["Missing"] == ("skipped", "no_such_package is not installed: pip install 'shufflekit[bench]'")
    assert notes["Wrong"] == ("wrong", "differs from PyTorch by 1.0e-02 of the largest output")
    assert notes["Broken"] == ("failed", "RuntimeError: no such operator")
    assert said[0] == "ones"
    assert len(said) == 4
    race = entry.race({("ones", "Right"): [2.0, 3.0, 4.0]})
    assert race.row("Right").median_ms == 3.0


def test_a_model_that_takes_no_such_input_gets_rows(tmp_path: Path) -> None:
    entry = prepare(Subject("linear", nn.Linear(5, 2)), (1, 3, 8, 8), 1, [RUNTIMES["torch"]], tmp_path)
    (row,) = entry.untimed
    assert (row.state, row.note.startswith("takes no input of 1x3x8x8: RuntimeError: ")) == ("failed", True)


def test_an_operator_that_the_engine_lacks_is_a_row(tmp_path: Path) -> None:
    entry = prepare(Subject("shrink", nn.RReLU()), (1, 3, 8, 8), 1, [RUNTIMES["engine"]], tmp_path)
    (row,) = entry.untimed
    assert row.state == "failed"
    assert "is not supported" in row.note


def test_files_are_kept_for_the_weights_they_were_made_of(tmp_path: Path) -> None:
    written = []

    class Counting(StandIn):
        def write(self, model, shape, stem, settings) -> None:
            written.append(shape)
            super().write(model, shape, stem, settings)

    one, net = Counting("Counting", "numpy", 1.0), nn.Conv2d(3, 4, 1)
    for _ in range(2):
        converted(Subject("net", net), (1, 3, 8, 8), one, tmp_path / "a")
    assert len(written) == 1
    converted(Subject("net", net), (1, 3, 9, 9), one, tmp_path / "a")
    assert len(written) == 2


class Scaled(nn.Module):
    """A convolution with a plain attribute, a function and a tensor that is no weight."""

    def __init__(self, stride: int, factor: float, function: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.factor, self.function = nn.Conv2d(3, 4, 1, stride), torch.tensor(factor), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.conv(x)) * self.factor


def test_another_network_never_races_on_what_was_converted_before(tmp_path: Path) -> None:
    """Weights, and what is computed with them: an attribute, the operator itself, a tensor that is no weight."""

    written: list[Path] = []

    class Wholes(StandIn):
        """Answers what the network answers that it was made of."""

        def write(self, model, shape, stem, settings) -> None:
            written.append(stem)
            torch.save(model, self.files(stem)[0])

        def load(self, stem, threads):
            return RUNTIMES["torch"].run(torch.load(self.files(stem)[0], weights_only=False), threads)

    changed = Scaled(1, 1.0, nn.ReLU())
    with torch.no_grad():
        changed.conv.weight[0, 0] += 1
    nets = [Scaled(1, 1.0, nn.ReLU()), Scaled(2, 1.0, nn.ReLU()), Scaled(1, 1.1, nn.ReLU()), Scaled(1, 1.0, nn.Hardswish())]
    for net in (*nets, changed):
        for _ in range(2):
            entry = prepare(Subject("net", net.eval()), (1, 3, 8, 8), 1, [Wholes("Wholes", "numpy", None)], tmp_path)
            assert entry.runs["Wholes"].difference == 0
    assert len(written) == 5  # each once


@pytest.mark.parametrize("name", ["torch", "torch-compile", "engine"])
def test_what_this_process_writes_is_never_that_of_an_earlier_one(tmp_path: Path, name: str) -> None:
    """Its code may have changed: a plan that lies there is written anew."""
    net, runtime = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).eval(), RUNTIMES[name]
    stem = converted(Subject("net", net), (1, 3, 8, 8), runtime, tmp_path)
    (path,) = runtime.files(stem)
    path.write_bytes(b"what an older version wrote")
    assert converted(Subject("net", net), (1, 3, 8, 8), runtime, tmp_path) == stem
    assert path.read_bytes() != b"what an older version wrote"


class Answers(nn.Module):
    """What a function makes of a convolution."""

    def __init__(self, function) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 1), function

    def forward(self, x: torch.Tensor):
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    ("function", "note"),
    [
        (lambda x: x * float("nan"), "net at 1x3x8x8: 256 of 256 output values are infinite or not a number"),
        (lambda x: (x, x / 0), "net at 1x3x8x8: 256 of 512 output values are infinite or not a number"),
        (lambda x: None, "model: must return one tensor, or several in a list, tuple or dict, found a NoneType"),
        (lambda x: 3, "model: must return one tensor, or several in a list, tuple or dict, found a int"),
        (lambda x: {"a": [x]}, "model: must return one tensor, or several in a list, tuple or dict, found a list"),
        (lambda x: (), "model: must return one tensor, or several in a list, tuple or dict, found an empty tuple"),
        (lambda x: (_ for _ in ()).throw(RuntimeError()), "takes no input of 1x3x8x8: RuntimeError"),
    ],
)
def test_a_network_that_nobody_can_race_says_why(tmp_path: Path, function, note: str) -> None:
    entry = prepare(Subject("net", Answers(function)), (1, 3, 8, 8), 1, [RUNTIMES["torch"], RUNTIMES["engine"]], tmp_path)
    assert [(row.state, row.note) for row in entry.untimed] == [("failed", note)] * 2


@pytest.mark.parametrize(
    "function", [lambda x: {"a": x, "b": x + 1}, lambda x: x.argmax(1), lambda x: x > 0, lambda x: x[:, :0]]
)
def test_pytorch_races_what_it_can_run_and_nobody_can_pickle(tmp_path: Path, function) -> None:
    entry = prepare(Subject("net", Answers(function)), (1, 3, 8, 8), 1, [RUNTIMES["torch"]], tmp_path)
    assert entry.runs["PyTorch"].difference == 0


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("net", "model: must be a torch.nn.Module, found str"),
        (nn.Conv2d(3, 4, 1).half(), "net: runtimes race in float32, found weights of torch.float16; call .float\\(\\) first"),
        (nn.Conv2d(3, 4, 1, device="meta"), "net: must be on the CPU to race, found meta"),
        (nn.LazyConv2d(4, 1), "model: weight of a lazy module has no shape before its first call"),
    ],
)
def test_what_is_no_network_to_race_is_one_line(model, reason: str) -> None:
    with pytest.raises(ShufflekitError, match=reason):
        Subject("net", model).checked()


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch.compile's own
def test_what_is_compiled_already_races_as_it_was_written() -> None:
    assert Subject("net", torch.compile(nn.ReLU())).checked().model.__class__ is nn.ReLU


def test_an_onnx_file_is_for_those_who_read_it(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'shufflekit[bench]'")
    from shufflekit.export import export

    path = export(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (1, 3, 8, 8), "onnx", tmp_path, name="net")[0]
    field = [RUNTIMES[name] for name in ("torch", "engine", "onnxruntime", "openvino", "ncnn", "mnn")]
    entry = prepare(Subject("net.onnx", onnx=path), (1, 3, 8, 8), 1, field, tmp_path)
    assert [row.note for row in entry.untimed if row.engine == "PyTorch"] == ["reads no .onnx file"]
    assert {"shufflekit", "ONNX Runtime"} <= set(entry.runs)
    assert {row.state for row in entry.untimed} == {"skipped"}  # missing runtimes, and those that read none
    assert entry.flops == 0
