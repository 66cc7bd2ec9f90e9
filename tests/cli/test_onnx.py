"""ONNX files as MODEL of each verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import shufflekit as sk
from shufflekit.cli.main import main
from tests.graph.from_onnx.files import Case, model, node, onnx

FLAGS = ("--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "--channel-order", "bgr")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Scores that are the means of three channels."""
    nodes = [node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"])]
    onnx.save(model(Case((3, 32, 32), nodes), 13, 1), tmp_path / "net.onnx")
    Image.new("RGB", (32, 32), (255, 0, 0)).save(tmp_path / "red.png")
    return tmp_path / "net.onnx"


def predicted(file: Path, capsys: Any, *flags: str) -> list[str]:
    assert main(["predict", str(file.parent / "red.png"), "--model", str(file), "--json", *flags]) == 0
    return [each["label"] for each in json.loads(capsys.readouterr().out)[0]["predictions"]]


def test_predict_refuses_without_a_preparation_and_names_the_flags(file: Path, capsys: Any) -> None:
    for source in (file, file.with_suffix(".plan")):
        if source.suffix == ".plan":
            assert main(["compile", str(file), "--out", str(source)]) == 0
            capsys.readouterr()
        assert main(["predict", str(file.parent / "red.png"), "--model", str(source)]) == 1
        message = capsys.readouterr().err
        assert "how photos go in is not known, mean, std, channel_order missing: give --mean --std --channel-order" in message


def test_predict_takes_flags_a_json_beside_it_or_metadata(file: Path, capsys: Any) -> None:
    names = file.parent / "names.txt"
    names.write_text("b\ng\nr\n")
    assert predicted(file, capsys, *FLAGS, "--labels", str(names))[0] == "r"  # the third channel of bgr
    about = {"mean": [0.5] * 3, "std": [0.25] * 3, "channel_order": "rgb", "classes": ["r", "g", "b"]}
    content = onnx.load(file)
    for key, value in about.items():
        content.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    onnx.save(content, file)
    assert predicted(file, capsys)[0] == "r"
    file.with_suffix(".json").write_text(json.dumps({"classes": ["of the JSON", "g", "b"]}))
    assert predicted(file, capsys)[0] == "of the JSON"
    plan = file.with_suffix(".plan")
    assert main(["compile", str(file), "--out", str(plan)]) == 0
    capsys.readouterr()
    assert predicted(plan, capsys)[0] == "of the JSON"


def test_a_bad_preparation_is_one_line(file: Path, capsys: Any) -> None:
    file.with_suffix(".json").write_text("[1]")
    assert main(["predict", str(file.parent / "red.png"), "--model", str(file)]) == 1
    assert "net.json: must be an object with some of mean, std" in capsys.readouterr().err
    assert main(["predict", str(file.parent / "red.png"), "--model", str(file), "--mean", "a,b"]) == 2
    assert "mean: must be numbers, as in 0.485,0.456,0.406, found 'a,b'" in capsys.readouterr().err
    assert main(["predict", str(file.parent / "red.png"), "--model", str(file), "--std", "nan,1,1"]) == 2
    assert "std: must be numbers, as in 0.485,0.456,0.406, found 'nan,1,1'" in capsys.readouterr().err
    assert main(["predict", str(file.parent / "red.png"), *FLAGS]) == 2
    assert "mean: is for an ONNX file" in capsys.readouterr().err


def test_names_are_one_for_each_score(file: Path, capsys: Any) -> None:
    (labels := file.parent / "names.txt").write_text("a\nb\n")
    file.with_suffix(".json").unlink(missing_ok=True)
    assert main(["predict", str(file.parent / "red.png"), "--model", str(file), *FLAGS, "--labels", str(labels)]) == 1
    assert "net.onnx: labels: must be 3 names, one for each score, found 2" in capsys.readouterr().err


def test_compile_verifies_against_onnx_runtime(file: Path, capsys: Any) -> None:
    out = file.with_suffix(".plan")
    assert main(["compile", str(file), "--out", str(out), "--verify"]) == 0
    printed = capsys.readouterr()
    assert "largest difference to ONNX Runtime: " in printed.out
    assert "the file holds for one image" in printed.err
    assert sk.load(out)(np.zeros((2, 3, 32, 32), np.float32)).shape == (2, 3)
    assert main(["compile", str(file), "--out", str(file)]) == 2
    assert main(["compile", str(file), "--out", str(out), "--weights", "imagenet"]) == 2
    assert "an ONNX file has its own, found 'imagenet'" in capsys.readouterr().err
