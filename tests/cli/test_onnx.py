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
from shufflekit.export import FORMATS
from tests.graph.from_onnx.files import Case, TensorProto, helper, model, node, onnx

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


def saved(folder: Path, nodes: list[Any], inputs: dict[str, tuple[int | str, ...]], outputs: list[str]) -> Path:
    values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name, sizes in each]
              for each in (inputs.items(), [(name, None) for name in outputs])]  # fmt: skip
    graph = helper.make_graph(nodes, "graph", *values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "net.onnx")
    return folder / "net.onnx"


def test_a_file_of_several_inputs_is_compiled_and_verified(tmp_path: Path, capsys: Any) -> None:
    inputs = {"image": ("N", 3, "height", 5), "mask": ("N", 1, "height", 5)}
    path = saved(tmp_path, [node("Mul", ["image", "mask"])], inputs, ["y"])
    plan = tmp_path / "net.plan"
    shape = "image:1x3x4x5,mask:1x1x4x5"
    assert main(["compile", str(path), "-o", str(plan), "--shape", shape, "--verify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["shape"] for each in found["inputs"]] == [[3, 4, 5], [1, 4, 5]]
    assert [each["name"] for each in found["inputs"]] == ["image", "mask"]
    assert found["input_shape"] is None
    assert found["difference"] < 1e-6
    assert main(["compile", str(path), "-o", str(plan), "--shape", "1", "3", "4", "5"]) == 2
    assert "shape: must be one for each of the inputs image, mask, found 1" in capsys.readouterr().err


def test_a_float16_file_is_verified(tmp_path: Path, capsys: Any) -> None:
    path = saved(tmp_path, [node("Relu", ["x"])], {"x": ("N", 3)}, ["y"])
    content = onnx.load(path)
    for each in (*content.graph.input, *content.graph.output):
        each.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(content, path)
    assert main(["compile", str(path), "-o", str(tmp_path / "net.plan"), "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"] < 1e-3


@pytest.mark.parametrize(
    ("nodes", "sizes"),
    [
        ([node("GlobalAveragePool", ["x"])], ("N", 3, 32, 32)),
        ([node("ReduceMean", ["x"], axes=[1, 2], keepdims=0)], ("N", 32, 32, 3)),
        ([node("Transpose", ["x"], ["t"], perm=(0, 3, 1, 2)), node("GlobalAveragePool", ["t"])], (1, 32, 32, 3)),
        ([node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"])], ("N", 3, "height", "width")),
        ([node("ReduceMean", ["x"], axes=[1, 2], keepdims=0)], ("N", "height", "width", 3)),
    ],
    ids=["one pixel of scores", "channels last", "one pixel, channels last", "open sizes", "channels last, open"],
)
def test_predict_and_evaluate_take_other_forms(nodes: list[Any], sizes: tuple[Any, ...], file: Path, capsys: Any) -> None:
    """A red photo's means of channels, whatever the order in which they go in and out."""
    saved(file.parent, nodes, {"x": sizes}, ["y"])
    names = file.parent / "names.txt"
    names.write_text("b\ng\nr\n")
    shape = "1x32x32x3" if sizes[-1] == 3 else "1x3x32x32"
    flags = () if 32 in sizes else ("--shape", shape)
    assert predicted(file, capsys, *FLAGS, "--labels", str(names), *flags)[0] == "r"
    for label in ("b", "r"):
        (file.parent / "photos" / label).mkdir(parents=True)
        Image.new("RGB", (32, 32), {"b": (0, 0, 255), "r": (255, 0, 0)}[label]).save(file.parent / "photos" / label / "a.png")
    about = {"mean": [0.5] * 3, "std": [0.25] * 3, "channel_order": "bgr", "classes": ["b", "g", "r"]}
    file.with_suffix(".json").write_text(json.dumps(about))
    assert main(["evaluate", str(file), "--data", str(file.parent / "photos"), "--json", *flags]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == 100


def test_predict_says_what_it_cannot_take(file: Path, capsys: Any) -> None:
    def refused(*flags: str) -> str:
        code = main(["predict", str(file.parent / "red.png"), "--model", str(file), *FLAGS, *flags])
        out, err = capsys.readouterr()
        assert (code > 0, out, err.count("\n")) == (True, "", 1)
        return str(err)

    saved(file.parent, [node("GlobalAveragePool", ["x"]), node("Relu", ["x"], ["z"])], {"x": ("N", 3, "h", "w")}, ["y", "z"])
    assert "leaves sizes of its input open and needs it, found (N, 3, h, w)" in refused()
    assert "must give a vector of 2 scores or more for each image, found 1x3x1x1 and 1x3x8x8 for 1" in refused(
        "--shape", "1x3x8x8"
    )
    assert "shape: must be of one input" in refused("--shape", "x:1x3x8x8")
    saved(file.parent, [node("Add", ["x", "z"])], {"x": ("N", 3), "z": ("N", 3)}, ["y"])
    assert "the network takes no single image" in refused()
    code = main(["predict", str(file.parent / "red.png"), "--weights", "random", "--shape", "1x3x8x8"])
    assert (code, "shape: is for an ONNX file" in capsys.readouterr().err) == (2, True)


def test_train_says_that_a_file_is_none_of_its(file: Path, capsys: Any) -> None:
    assert main(["train", "--model", str(file), "--data", "x", "--out", "y"]) == 2
    assert "net.onnx is an ONNX file, and train takes a name" in capsys.readouterr().err


@pytest.fixture
def open_file(tmp_path: Path) -> Path:
    """A convolution of maps of any size."""
    nodes = [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"])]
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3), np.float32)
    content = model(Case((3, 16, 16), nodes, {"w": weights}), 13, "N")
    content.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(content, tmp_path / "open.onnx")
    return tmp_path / "open.onnx"


@pytest.mark.parametrize("form", ["openvino", "ncnn", "mnn"])
def test_a_file_becomes_those_of_other_runtimes(form: str, open_file: Path, capsys: Any) -> None:
    FORMATS[form].runs_here or pytest.skip(f"{FORMATS[form].name} is not installed")
    export = ["export", str(open_file), "--format", form, "-o", str(open_file.parent / "out"), "--shape", "1x3x20x16", "--json"]
    assert main(export) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert 0 <= row["difference"] < 1e-4
    assert all(Path(each).exists() for each in row["files"])


def test_a_file_that_differs_is_not_written(open_file: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    FORMATS["openvino"].runs_here or pytest.skip("OpenVINO is not installed")
    monkeypatch.setattr("shufflekit.export.convert.ALLOWED_DIFFERENCE", -1.0)
    out = open_file.parent / "out"
    assert main(["export", str(open_file), "--format", "openvino", "-o", str(out), "--shape", "1x3x20x16"]) == 1
    assert "OpenVINO: differs from ONNX Runtime by" in capsys.readouterr().out
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--format", "mnn,litert"], "format: an ONNX file can become openvino, ncnn, mnn, found litert for"),
        (["--format", "mnn"], "open.onnx leaves sizes of its input open and needs it, found (N, 3, height, 16)"),
        (["--format", "mnn", "--opset", "13"], "opset: is for a network of PyTorch, and"),
        (["--format", "mnn", "--dynamic-batch"], "dynamic_batch: is for a network of PyTorch, and"),
        (["--format", "mnn", "--weights", "random"], "weights: an ONNX file has its own, found 'random'"),
        (["--format", "mnn", "--shape", "1x3x20x17"], "shape: must be that of the input of"),
    ],
)
def test_what_no_file_is_exported_with(open_file: Path, capsys: Any, flags: list[str], message: str) -> None:
    assert main(["export", str(open_file), "-o", str(open_file.parent / "out"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (open_file.parent / "out").exists()


def test_a_file_is_not_written_over(open_file: Path, capsys: Any) -> None:
    (copy := open_file.parent / "a.mnn.onnx").write_bytes(open_file.read_bytes())
    copy.with_name("b.mnn").symlink_to(copy)
    export = ["export", str(copy), "--format", "mnn", "-o", str(copy.parent), "--name", "b", "--shape", "1x3x20x16"]
    assert main(export) == 2
    assert "b.mnn" in capsys.readouterr().err


def test_rows_that_count_are_compared(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        node("Split", ["x"], ["sides", "scores"], axis=1),
        node("Transpose", ["sides"], ["boxes"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes", "scores", "most", "share", "least"], ["rows"]),
        node("Gather", ["rows", "two"], ["number"], axis=1),
        node("Gather", ["boxes", "number"], axis=1),
    ]
    constants = {"most": np.array([4]), "share": np.array([0.1], np.float32), "least": np.array([0.5], np.float32)}
    path, plan = tmp_path / "net.onnx", tmp_path / "net.plan"
    onnx.save(model(Case((8, 9), nodes, {**constants, "two": np.array(2)}), 13, 1), path)
    assert main(["compile", str(path), "-o", str(plan), "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"] == 0
    plan.unlink()
    monkeypatch.setattr("shufflekit.compiling.rows_that_count", lambda outputs, _: [outputs["y"].reshape(-1)])
    assert main(["compile", str(path), "-o", str(plan), "--verify", "--json"]) == 1  # with those that mean nothing
    assert not plan.exists()
