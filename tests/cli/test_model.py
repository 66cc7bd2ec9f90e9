"""Every verb with every kind of MODEL: it works, or one line says what the verb takes."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import shufflekit as sk
from shufflekit.cli.main import main
from shufflekit.models import build_model
from tests.graph.from_onnx.files import Case, model, node, onnx
from tests.guidelines.nets import DEVICE
from tests.guidelines.test_audit import TWICE_THE_LIMIT

NAME, SAVED, HUB, DETECTOR, CALLABLE = "shufflenet_v2_x0_5", "one", "hf-hub:me/one", "fastestdet_shufflenet_v2_x0_5", "mine:net"
PLAN, ONNX = "net.plan", "net.onnx"
WORKS = ""  # in place of the line
_NETWORK = "takes a name, a folder of save_pretrained or train, hf-hub:owner/name"
_NO_SCORES = "must give a vector of 2 scores or more for each image"
_NO_DETECTOR = "must be a detector"

VERBS = {
    "predict": "predict a.png --model {}",
    "evaluate": "evaluate {} --data images",
    "detect": "detect a.png --model {}",
    "profile": "profile {}",
    "audit": "audit {} --seconds 0",
    "fit": "fit {} --budget-ms 999 --seconds 0",
    "table": "table {} -o out.csv --json",
    "compile": "compile {} -o out.plan --verify",
    "export": "export {} --format onnx -o out",
    "bench": "bench {} --runtimes engine --size 32x32 --rounds 6 --calls 1",
}
EXPECTED = {
    "predict": {DETECTOR: _NO_SCORES},
    "evaluate": {DETECTOR: _NO_SCORES},
    "detect": {
        NAME: "no detector is named",
        **dict.fromkeys((SAVED, HUB, CALLABLE, PLAN), _NO_DETECTOR),
        PLAN: "must be the plan of a detector, found that of shufflenet_v2_x0_5",
        ONNX: f"net.onnx is an ONNX file, and detect {_NETWORK}, package.module:callable or a plan",
    },
    "profile": {},
    "audit": {PLAN: f"net.plan is a plan, and audit {_NETWORK}, package.module:callable or an ONNX file"},
    "fit": {
        **dict.fromkeys((CALLABLE, ONNX), "model: nothing in "),
        PLAN: f"net.plan is a plan, and fit {_NETWORK}, package.module:callable or an ONNX file",
    },
    "table": {PLAN: f"net.plan is a plan, and table {_NETWORK}, package.module:callable or an ONNX file"},
    "compile": {PLAN: f"net.plan is a plan, and compile {_NETWORK}, package.module:callable or an ONNX file"},
    "export": {
        PLAN: f"net.plan is a plan, and export {_NETWORK}, package.module:callable or an ONNX file",
        ONNX: "format: an ONNX file can become openvino, ncnn, mnn, found onnx for net.onnx",
    },
    "bench": {PLAN: f"net.plan is a plan, and bench {_NETWORK}, package.module:callable or an ONNX file"},
}
TABLE = [
    pytest.param(verb, kind, line, marks=[pytest.mark.slow] * (verb == "bench" and line == WORKS and kind != SAVED))
    for verb in VERBS
    for kind in (NAME, SAVED, HUB, DETECTOR, CALLABLE, PLAN, ONNX)
    for line in (EXPECTED[verb].get(kind, WORKS),)
]
# Where a network of the registry is to have its published weights.
WEIGHTED = ("predict", "evaluate", "detect", "compile", "export")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of one channel that is saved, its plan, an ONNX file with its preparation, a module, and photos."""
    folder = tmp_path_factory.mktemp("models")
    one = build_model("shufflenet_v2_x0_5", num_classes=3, in_chans=1, small_input=True).eval()
    one.pretrained_cfg = {"input_size": (1, 32, 32), "mean": (0.5,), "std": (0.5,), "num_classes": 3}
    one.save_pretrained(folder / "one")
    sk.compile(one, (1, 1, 32, 32)).save(folder / PLAN)
    nodes = [node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"])]
    onnx.save(model(Case((3, 32, 32), nodes), 13), folder / ONNX)
    about = {"mean": [0.5] * 3, "std": [0.5] * 3, "channel_order": "rgb"}
    (folder / "net.json").write_text(json.dumps(about))
    (folder / "mine.py").write_text(
        "from torch import nn\ndef net(): return nn.Sequential(nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    for name in ("a.png", "images/0/a.png", "images/1/b.png", "images/2/c.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(folder / name)
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That folder, a made-up machine, and a hub that has the saved network."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("shufflekit.models._saved.hf_hub_download", lambda repo, name, **_: str(folder / "one" / name))
    monkeypatch.setattr("shufflekit.bench.bench.KEPT", tmp_path)
    monkeypatch.setattr("shufflekit.cli.table._APART", 1e9)  # a busy machine is no fault of a model
    for module in ("profiling.profile", "profiling.engine", "profiling.graph", "guidelines.audit"):
        monkeypatch.setattr(import_module(f"shufflekit.{module}"), "load_device", lambda: DEVICE)
    monkeypatch.setattr(import_module("shufflekit.cli.bench"), "load_device", lambda **_: DEVICE)
    monkeypatch.setattr(import_module("shufflekit.guidelines.audit"), "load_cost_model", lambda *_, **__: TWICE_THE_LIMIT)


@pytest.mark.parametrize(("verb", "kind", "line"), TABLE)
def test_each_verb_takes_each_model_or_says_what_it_takes(verb: str, kind: str, line: str, capsys) -> None:
    words = VERBS[verb].format(kind).split()
    code = main([*words, "--weights", "random"] if verb in WEIGHTED and kind in (NAME, DETECTOR) else words)
    err = capsys.readouterr().err
    if line == WORKS:
        assert code == 0, err
    else:
        assert code in (1, 2)
        assert line in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("kind", [CALLABLE, PLAN, ONNX])
def test_only_networks_of_ours_are_trained(kind: str, capsys) -> None:
    assert main(["train", "--model", kind, "--data", "images", "--out", "run"]) == 2
    assert f"and train {_NETWORK}\n" in capsys.readouterr().err
    assert not Path("run").exists()


@pytest.mark.parametrize("kind", [PLAN, ONNX])
def test_what_runs_on_the_engine_alone_has_its_own_weights(kind: str, capsys) -> None:
    for flags, line in (
        (["--weights", "imagenet"], "its own, found 'imagenet'"),
        (["--engine", "torch"], "native only"),
    ):
        assert main(["predict", "a.png", "--model", kind, *flags]) == 2
        assert line in capsys.readouterr().err


def test_a_plan_has_its_shape(capsys) -> None:
    assert main(["profile", PLAN, "--shape", "1", "1", "32", "32"]) == 0
    assert main(["profile", PLAN, "--shape", "1", "3", "32", "32"]) == 2
    assert "shape: net.plan is a plan for images of 1x32x32, found 3x32x32" in capsys.readouterr().err
