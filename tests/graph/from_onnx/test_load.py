"""What a file becomes: batches, names of outputs, kinds of inputs, constants; and how a file that cannot be one is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import shufflekit as sk
from shufflekit.errors import InputError, UsageError
from shufflekit.graph import interpret
from shufflekit.graph.from_onnx import load_onnx
from shufflekit.graph.from_onnx.file import MOST_BYTES
from tests.graph.from_onnx.files import Case, TensorProto, check, helper, loaded, model, node, numpy_helper, onnx, runtime

WEIGHT = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
CONV = Case((3, 6, 5), [node("Conv", ["x", "w"], name="first")], {"w": WEIGHT})


def of_nodes(*nodes: Any, sizes: tuple[int, ...] = (3, 6, 5), **constants: Any) -> Case:
    return Case(sizes, list(nodes), {name: np.asarray(array) for name, array in constants.items()})


# Batches.


def test_a_fixed_batch_of_one_holds_for_any_number_of_images(tmp_path: Path) -> None:
    """Whatever becomes of the 1: here it goes to the middle, and the file's tensor has no dimension for images meanwhile."""
    case = of_nodes(
        node("Reshape", ["x", "rows"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=(1, 0)),
        node("Softmax", ["b"], ["c"], axis=0),
        node("Add", ["c", "column"], ["d"]),
        node("Reshape", ["d", "back"]),
        rows=[3, 30],
        column=np.arange(30, dtype=np.float32).reshape(30, 1),
        back=[1, 30, 3],
    )
    network = loaded(model(case, 13, 1), tmp_path)
    x = np.random.default_rng(0).standard_normal((3, 3, 6, 5)).astype(np.float32)
    (found,) = interpret(network.graph, x)
    a = x.reshape(3, 3, 30).transpose(0, 2, 1)
    e = np.exp(a - a.max(1, keepdims=True))
    np.testing.assert_allclose(found, e / e.sum(1, keepdims=True) + case.constants["column"], rtol=1e-5)
    assert network.info["batch"] == "the file holds for one image; of several, each is computed by itself"


def test_an_open_batch_whose_reshape_says_one_is_taken_for_one(tmp_path: Path) -> None:
    case = of_nodes(node("Reshape", ["x", "s"]), s=[1, 90])
    network = loaded(model(case, 13), tmp_path)
    assert str(network.graph.values["y"].shape) == "(N, 90)"
    assert "batch" in network.info
    assert "batch" not in loaded(model(of_nodes(node("Reshape", ["x", "s"]), s=[-1, 90]), 13), tmp_path).info


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Softmax", axis=0)], "dimension 0 counts the images of the batch, which must stay apart"),
        ([node("ReduceMean", keepdims=1)], "dimension 0 counts the images"),
        ([node("Squeeze")], "dimensions \\[0\\] must be 1"),
    ],
)
def test_what_mixes_the_images_of_an_open_batch_is_refused(nodes: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"net.onnx: .*{message}"):
        loaded(model(of_nodes(*nodes), 11), tmp_path)


FOLDED = {
    "batch in another place": [node("Transpose", perm=(1, 0, 2, 3))],
    "all in one row": [node("Flatten", axis=0)],
    "all in one": [node("Reshape", ["x", "all"])],
    "a softmax of one row": [node("Reshape", ["x", "row"], ["r"]), node("Softmax", ["r"], axis=1)],
    "a product of one row": [node("Reshape", ["x", "row"], ["r"]), node("Gemm", ["r", "w"])],
    "no batch": [node("Reshape", ["x", "sides"])],
}


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize("name", FOLDED)
def test_a_file_that_counts_images_with_something_else_is_taken_for_one_only(
    name: str, batch: int | str, tmp_path: Path
) -> None:
    constants = {
        "all": np.array([-1]),
        "row": np.array([1, -1]),
        "sides": np.array([18, 5]),
        "w": np.eye(90, 4, dtype=np.float32),
    }
    content = model(Case((3, 6, 5), FOLDED[name], constants), 11, batch)
    onnx.save(content, tmp_path / "net.onnx")
    x = np.random.default_rng(0).standard_normal((1, 3, 6, 5)).astype(np.float32)
    (expected,) = runtime().InferenceSession(content.SerializeToString()).run(None, {"x": x})
    engine = sk.compile(tmp_path / "net.onnx")
    found = engine(x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if batch == "N" or expected.shape[0] != 1:
        assert (
            engine.program.info["batch"] == "the engine takes one image: the file counts several together with something else"
        )
        assert [(each.shape, each.batched) for each in engine.program.outputs] == [(expected.shape, False)]
        with pytest.raises(InputError, match=r"must be \(1, 3, 6, 5\), found \(3, 3, 6, 5\)"):
            engine(np.repeat(x, 3, 0))


def test_a_batch_of_another_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the batch of input x must be open or 1, found float of \(4, 3, 6, 5\)"):
        loaded(model(CONV, 13, 4), tmp_path)


# Inputs, outputs, constants.


def test_open_sizes_come_from_the_shape(tmp_path: Path) -> None:
    content = model(Case(("height", 6, "width"), CONV.nodes, CONV.constants), 13)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"shape: .*net.onnx leaves sizes of its input open.*found \(N, height, 6, width\)"):
        loaded(content, tmp_path)
    with pytest.raises(UsageError, match=r"shape: must be that of the input .*, \(N, height, 6, width\), found \(1, 3, 7, 5\)"):
        loaded(content, tmp_path, (1, 3, 7, 5))
    assert loaded(content, tmp_path, (1, 3, 6, 5)).graph.values["x"].sizes == (3, 6, 5)


def test_outputs_keep_the_names_of_the_file(tmp_path: Path) -> None:
    """Also where rewrites would name a value so (softmax_to_channels makes x.1 of x), and where several are one value."""
    nodes = [
        node("Softmax", ["x"], ["y"], axis=2),
        node("Relu", ["x"], ["y.1"]),
        node("Identity", ["y"], ["same"]),
    ]
    content = model(of_nodes(*nodes), 13, outputs=("y.1", "same", "y"))
    engine = sk.compile(loaded(content, tmp_path))
    assert [output.name for output in engine.program.outputs] == ["y.1", "same", "y"]
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5)).astype(np.float32)
    softmax = np.exp(x) / np.exp(x).sum(2, keepdims=True)
    for found, expected in zip(engine(x), (np.maximum(x, 0), softmax, softmax), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_constants_may_be_listed_as_inputs_and_computed(tmp_path: Path) -> None:
    nodes = [
        node("Cast", ["half"], ["whole"], to=TensorProto.FLOAT),
        node("Mul", ["whole", "two"], ["w"]),
        node("Conv", ["x", "w"]),
    ]
    content = model(of_nodes(*nodes, half=WEIGHT.astype(np.float16), two=np.float32(2)), 7)
    content.graph.input.append(helper.make_tensor_value_info("half", TensorProto.FLOAT16, WEIGHT.shape))
    x = np.ones((1, 3, 6, 5), np.float32)
    (found,) = interpret(loaded(content, tmp_path).graph, x)
    doubled = loaded(model(Case(CONV.sizes, CONV.nodes, {"w": 2 * WEIGHT.astype(np.float16).astype(np.float32)}), 7), tmp_path)
    np.testing.assert_array_equal(found, interpret(doubled.graph, x)[0])


def test_a_float16_file_is_computed_in_float32(tmp_path: Path) -> None:
    content = model(Case(CONV.sizes, CONV.nodes, {"w": WEIGHT.astype(np.float16)}), 13)
    for each in (*content.graph.input, *content.graph.output):
        each.type.tensor_type.elem_type = TensorProto.FLOAT16
    network = loaded(content, tmp_path)
    assert [array.dtype for array in network.graph.constants.values()] == [np.float32]
    assert network.info == {"precision": "float16"}


def test_sizes_are_folded_by_the_references(tmp_path: Path) -> None:
    """Constants of shapes, ranges, comparisons and arithmetic on whole numbers, as exporters write it."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "last"], ["w"]),
        node("Div", ["w", "two"], ["half"]),  # of whole numbers: rounded towards 0
        node("Range", ["zero", "half", "one"], ["r"]),
        node("Cast", ["r"], ["f"], to=TensorProto.FLOAT),
        node("ConstantOfShape", ["shape"], ["ones"], value=numpy_helper.from_array(np.ones(1, np.float32))),
        node("Equal", ["f", "ones"], ["e"]),
        node("Where", ["e", "f", "ones"], ["c"]),
        node("Concat", ["c", "c", "ones"], ["k"], axis=0),
        node("ReduceProd", ["c"], ["p"], keepdims=0),
        node("Mul", ["x", "p"], ["m"]),
        node("Slice", ["m", "from", "to", "axes"], ["cut"]),
        node("Sub", ["cut", "k"]),
    ]
    sizes = {"last": 3, "two": 2, "zero": 0, "one": 1, "shape": [2], "from": [0], "to": [6], "axes": [3]}
    case = of_nodes(*nodes, sizes=(3, 4, 6), **{name: np.array(each, np.int64) for name, each in sizes.items()})
    case.nodes[5] = node("ConstantOfShape", ["shape"], ["ones"], value=numpy_helper.from_array(np.ones(1, np.float32)))
    case.constants["shape"] = np.array([3], np.int64)  # type: ignore[index]
    case.nodes[8] = node("Concat", ["c", "ones"], ["k"], axis=0)
    check(case, 13, tmp_path)


@pytest.mark.parametrize(
    "made",
    [
        [node("Sin", ["w"], ["a"]), node("Cos", ["w"], ["b"]), node("Sign", ["b"], ["s"]), node("Mul", ["a", "s"], ["c"])],
        [node("Mod", ["w", "half"], ["a"], fmod=1), node("CumSum", ["a", "one"], ["c"], reverse=1, exclusive=1)],
        [node("Trilu", ["w", "one"], ["a"], upper=0), node("CumSum", ["a", "two"], ["b"]), node("Trilu", ["b"], ["c"])],
        [node("Mod", ["n", "three"], ["m"]), node("Cast", ["m"], ["f"], to=TensorProto.FLOAT), node("Mul", ["f", "w"], ["c"])],
        [
            *(node("Less", ["w", "half"], ["a"]), node("Greater", ["half", "w"], ["b"]), node("Not", ["b"], ["d"])),
            *(node("Xor", ["a", "d"], ["e"]), node("Cast", ["e"], ["c"], to=TensorProto.FLOAT)),
        ],
        [
            *(node("Constant", [], ["a"], value_float=0.25), node("Constant", [], ["b"], value_floats=[1.5, -2.0])),
            *(node("Constant", [], ["d"], value_int=7), node("Constant", [], ["e"], value_ints=[2, 3])),
            *(node("Div", ["d", "e"], ["f"]), node("Cast", ["f"], ["g"], to=TensorProto.FLOAT)),
            *(node("Mul", ["a", "b"], ["h"]), node("Sub", ["h", "g"], ["c"])),
        ],
    ],
)
def test_constants_are_folded_as_the_reference_does(made: list[Any], tmp_path: Path) -> None:
    sizes = {"one": np.array(1), "two": np.array(2), "three": np.array([3, -3]), "n": np.array([-7, 8])}
    constants = {**sizes, "w": np.random.default_rng(0).uniform(-2, 2, (3, 5, 2)).astype(np.float32), "half": np.float32(0.5)}
    read = {name for each in made for name in each.input}
    used = {name: each for name, each in constants.items() if name in read}
    check(Case((3, 5, 2), [*made, node("Add", ["x", "c"])], used), 15, tmp_path)


def test_a_norm_without_axes_is_of_each_channel_of_all_images(tmp_path: Path) -> None:
    """So that only a file of one image can have it."""
    case = of_nodes(node("MeanVarianceNormalization"))
    x = np.random.default_rng(0).standard_normal((3, 3, 6, 5)).astype(np.float32)
    expected = (x - x.mean((2, 3), keepdims=True)) / x.std((2, 3), keepdims=True)
    np.testing.assert_allclose(interpret(loaded(model(case, 13, 1), tmp_path).graph, x)[0], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="dimension 0 counts the images of the batch"):
        loaded(model(case, 13), tmp_path)


def test_a_constant_size_may_have_more_dimensions_than_what_is_spread(tmp_path: Path) -> None:
    nodes = [node("Expand", ["x", "s"], ["e"]), node("ReduceMean", ["e"], axes=[0, 2], keepdims=0)]
    check(of_nodes(*nodes, sizes=(3, 1, 5), s=[2, 1, 3, 6, 5]), 13, tmp_path)


def test_which_pixels_a_smaller_map_has_is_said_from_opset_11_on(tmp_path: Path) -> None:
    scales = np.array([1, 1, 0.5, 0.5], np.float32)
    with pytest.raises(InputError, match="which pixels it takes where it makes a map smaller is not said before opset 11"):
        loaded(model(of_nodes(node("Resize", ["x", "s"], mode="nearest"), s=scales), 10), tmp_path)
    for opset in (11, 13):
        case = of_nodes(node("Resize", ["x", "r", "s"], mode="nearest"), r=np.zeros(0, np.float32), s=scales)
        check(case, opset, tmp_path, by_runtime=True)


def test_arithmetic_of_tensors_that_count_images_first_is_one_node(tmp_path: Path) -> None:
    """In a file of one image too, where sizes may meet otherwise."""
    nodes = [node("GlobalMaxPool", ["x"], ["p"]), node("Mul", ["x", "p"], ["m"]), node("Add", ["w", "m"])]
    graph = loaded(model(of_nodes(*nodes, w=WEIGHT[:1, :, :1, :1]), 13, 1), tmp_path).graph
    assert [each.op for each in graph.nodes] == ["adaptive_max_pool", "mul", "add"]


@pytest.mark.parametrize("axis", [1, 2])
def test_a_constant_for_each_image_joins_what_is_computed(axis: int, tmp_path: Path) -> None:
    """Repeated by the size of the batch, which is open or 1."""
    nodes = [
        node("Shape", ["x"], ["n"], start=0, end=1),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Expand", ["c", "to"], ["each"]),
        node("Concat", ["each", "x", "each"], axis=axis),
    ]
    check(of_nodes(*nodes, rest=np.array([3, 6, 5]), c=WEIGHT[:1, :, :1, :1].repeat(5, 3).repeat(6, 2)), 15, tmp_path)


def test_constants_join_what_is_computed_of_one_image(tmp_path: Path) -> None:
    """Also where its tensor has no dimension for images."""
    row, column = np.arange(60, dtype=np.float32).reshape(2, 30), np.arange(5, dtype=np.float32).reshape(1, 5, 1)
    nodes = [
        node("Reshape", ["x", "rows"], ["a"]),
        node("Concat", ["row", "a"], ["b"], axis=0),
        node("Reshape", ["b", "back"], ["c"]),
        node("Concat", ["c", "column"], axis=2),
    ]
    case = of_nodes(*nodes, rows=[3, 30], back=[1, 5, 30], row=row, column=column)
    x = np.random.default_rng(0).standard_normal((3, 3, 6, 5)).astype(np.float32)
    expected = [np.concatenate([np.concatenate([row, each.reshape(3, 30)]), column[0]], 1) for each in x]
    for batch in (1, "N"):
        network = loaded(model(case, 13, batch), tmp_path)
        np.testing.assert_array_equal(interpret(network.graph, x)[0], expected)
        assert "batch" in network.info


def test_a_constant_of_other_images_does_not_join(tmp_path: Path) -> None:
    """The numbers of the images, which are as many as there are."""
    nodes = [
        node("Shape", ["x"], ["n"], start=0, end=1),
        node("Squeeze", ["n"], ["count"]),
        node("Range", ["zero", "count", "one"], ["numbers"]),
        node("Cast", ["numbers"], ["floats"], to=TensorProto.FLOAT),
        node("Reshape", ["floats", "wide"], ["c"]),
        node("Concat", ["x", "c"], axis=1, name="last"),
    ]
    case = of_nodes(*nodes, sizes=(3, 1, 1), zero=np.array(0), one=np.array(1), wide=np.array([-1, 1, 1, 1]))
    with pytest.raises(InputError, match=r"Concat \(in last\): dimension 0 of a constant must count the images of the batch"):
        loaded(model(case, 15), tmp_path)


def test_constants_that_count_no_images_do_not_join(tmp_path: Path) -> None:
    content = model(of_nodes(node("Concat", ["x", "w"], axis=1, name="one"), w=WEIGHT), 13)
    assert damaged(content.SerializeToString(), tmp_path) == (
        "Concat (in one): dimension 0 of a constant must count the images of the batch, found (4, 3, 3, 3) and (4, 3, 3, 3)"
    )


# Refusals.


def test_all_missing_operators_are_named_at_once(tmp_path: Path) -> None:
    nodes = [
        node("Tan", ["x"], ["a"], name="one"),
        node("Tan", ["a"], ["b"], name="two"),
        node("Asinh", ["b"], ["c"], name="three"),
        node("MatMul", ["c", "c"], ["d"], name="four"),
        helper.make_node("FusedConv", ["x", "x"], ["e"], name="five", domain="com.microsoft"),
        node("Softmax", ["x"], ["f"], name="six", axis=0),
        node("Sum", ["d", "e", "f"], ["y"]),
    ]
    with pytest.raises(InputError) as caught:
        loaded(model(of_nodes(*nodes), 13), tmp_path)
    assert str(caught.value).partition("net.onnx: ")[2] == (
        "operators Tan (2 times, in one, two), Asinh (in three), com.microsoft.FusedConv (in five) are not supported; "
        "MatMul (in four): (N, 3, 6, 5) and (N, 3, 6, 5) must be matrices that fit, in the same dimensions before them; "
        "Softmax (in six): dimension 0 counts the images of the batch, which must stay apart"
    )


def test_no_such_file_and_what_is_none() -> None:
    with pytest.raises(InputError, match="missing.onnx: cannot be read: No such file or directory"):
        load_onnx("missing.onnx")
    with pytest.raises(InputError, match="tests: cannot be read: Is a directory"):
        load_onnx(Path("tests"))


def damaged(content: bytes, folder: Path) -> str:
    path = folder / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_onnx(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).partition("net.onnx: ")[2]


def test_a_damaged_file_is_refused_wherever_it_is_cut_off(tmp_path: Path) -> None:
    content = model(CONV, 13).SerializeToString()
    assert damaged(b"", tmp_path) == "no ONNX file: it has no ir_version"
    assert damaged(b"\x89PNG\r\n\x1a\n" + bytes(100), tmp_path) == "damaged, cut off, or no ONNX file"
    for end in range(1, len(content), 7):
        assert damaged(content[:end], tmp_path)


def changed(case: Case = CONV, opset: int = 13) -> Any:
    return model(case, opset)


@pytest.mark.parametrize(("opset", "found"), [(6, "6"), (24, "24"), (None, "none")])
def test_other_opsets_are_refused(opset: int | None, found: str, tmp_path: Path) -> None:
    content = model(CONV, 13)
    del content.opset_import[:]
    if opset:
        content.opset_import.append(helper.make_opsetid("", opset))
    message = damaged(content.SerializeToString(), tmp_path)
    assert message == f"the opset of ONNX's operators must be 7 to 23, found {found}"


A, B = node("Relu", ["b"], ["a"], name="one"), node("Add", ["a", "x"], ["b"], name="two")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([A, B, node("Relu", ["b"])], "nodes are in no order: one reads b before two writes it"),
        ([node("Relu", ["z"], name="one")], "one reads z, which nothing writes"),
        ([node("Relu", ["x"], ["x"], name="one"), node("Relu")], "x is written more than once, by one at last"),
        ([node("Relu", ["x"], ["z"])], "output y is written by nothing"),
        ([node("Relu", ["x", "x"], name="one")], "Relu (in one): it has 1 inputs, found 2"),
        ([node("Relu", ["x"], slope=1.0, name="one")], "Relu (in one): it has no attribute slope in this opset"),
        ([node("Conv", ["x", "w"], strides="ab", name="one")], "Conv (in one): strides must be ints, found 'ab'"),
        ([node("Conv", ["x", "w"], strides=[0, 1], name="one")], "Conv (in one): stride must be of whole numbers, 1 or more"),
        ([node("Conv", ["x", "w"], strides=[1], name="one")], "Conv (in one): a window of 2 sides must have as many strides"),
        ([node("Conv", ["x"], name="one")], "Conv (in one): W is missing"),
        ([node("Conv", ["x", "x"], name="one")], "Conv (in one): W must be a constant, and depends on the input"),
        ([node("Split", ["x"], ["y", "z"], axis=7, name="one")], "Split (in one): dimension 7 must be one of 4"),
        ([node("Gather", ["x", "far"], axis=1, name="one")], "Gather (in one): indices must be less than 3, found 9"),
        ([node("MaxPool", ["x"], ["y", "z"], kernel_shape=[1, 1], name="one"), node("Add", ["z", "y"], ["u"])], ""),
        ([node("Identity", ["w"], ["y"])], "output y: dimension 0 of a constant must count"),
        ([node("Identity", ["five"], ["y"])], "output y: must be of floats, and dimension 0 count the images"),
        ([node("ConstantOfShape", ["five"], ["c"], name="one"), node("Add", ["x", "c"])], ""),
        ([node("ConstantOfShape", ["huge"], ["c"], name="a"), node("Add", ["x", "c"])], "ConstantOfShape (in a): a constant"),
        ([node("Expand", ["w", "huge"], ["c"], name="one"), node("Add", ["x", "c"])], "Expand (in one): "),
        ([node("Reshape", ["x", "huge"], name="one")], "Reshape (in one): (1, 3, 6, 5) cannot become"),
        ([node("Crop", border=[0, -1, 0, 0], name="one")], "Crop (in one): border must be four numbers, and scale two, found"),
        ([node("If", ["flag"], ["y"], name="one")], "operator If (in one) is not supported"),
        (
            [node("Constant", [], ["c"], value=helper.make_tensor("t", TensorProto.STRING, [1], [b"a"]))],
            "node 0: value: must be of numbers and of sizes of 0 or more, found string of (1,)",
        ),
        (
            [node("Constant", [], ["c"], value=TensorProto(dims=[-1], data_type=TensorProto.FLOAT))],
            "node 0: value: must be of numbers and of sizes of 0 or more, found float of (-1,)",
        ),
    ],
)  # fmt: skip
def test_a_hostile_file_is_one_line(nodes: list[Any], message: str, tmp_path: Path) -> None:
    constants = {
        "w": WEIGHT,
        "far": np.array([9]),
        "five": np.array([5]),
        "huge": np.array([2**20, 2**20, 1, 1]),
        "flag": np.array(True),
    }
    content = model(Case(CONV.sizes, nodes, constants), 13)
    if not message:  # the near miss: a second output that only what nobody reads takes, a constant that fits
        loaded(content, tmp_path)
        return
    assert damaged(content.SerializeToString(), tmp_path).startswith(message)


RNN = {"w": np.ones((1, 8, 3), np.float32), "r": np.ones((1, 8, 2), np.float32), "h": np.ones((1, 1, 2), np.float32)}


def lstm(*more: str, **attributes: Any) -> list[Any]:
    """Of (N, 3, 6, 5) as 30 moments of 3."""
    flat = [node("Reshape", ["x", "s"], ["f"]), node("Transpose", ["f"], ["t"], perm=[2, 0, 1])]
    layer = node("LSTM", ["t", "w", "r", *more], ["all", "last"], hidden_size=2, name="one", **attributes)
    return [*flat, layer, node("Transpose", ["last"], perm=[1, 0, 2])]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("ArgMax", ["x"], ["p"], axis=1), node("Exp", ["p"], name="one")], "Exp (in one): of whole numbers"),
        ([node("ArgMax", ["x"], ["p"], axis=1), node("Cast", ["p"], ["f"], to=1), node("Add", ["f", "f"])], ""),
        ([node("Less", ["x", "x"], ["m"]), node("ReduceSum", ["m"], name="one")], "ReduceSum (in one): of truth values"),
        ([node("Less", ["x", "x"], ["m"]), node("Transpose", ["m"], ["t"]), node("Relu", ["t"], name="a")], "Relu (in a): of "),
        ([node("Cast", ["x"], ["m"], to=9), node("Cast", ["m"], to=1)], ""),
        ([node("Einsum", ["x", "x"], equation="nchw,nchw->n", name="one")], ""),
        ([node("Einsum", ["x", "x"], equation="n...,n...->n", name="one")], "Einsum (in one): an equation of at most two"),
        (lstm(), ""),
        (lstm("", "", "zero"), ""),
        (lstm("", "", "h"), "LSTM (in one): initial_h must be 0"),
        (lstm("", "some"), "LSTM (in one): sequence_lens must all be 30"),
        (lstm(clip=1.0), "LSTM (in one): clip is not supported, found 1.0"),
        (lstm(activations=["Relu", "Tanh", "Tanh"]), "LSTM (in one): activations is not supported"),
    ],
)  # fmt: skip
def test_masks_places_and_states_are_what_they_are(nodes: list[Any], message: str, tmp_path: Path) -> None:
    constants = {**RNN, "zero": 0 * RNN["h"], "s": np.array([0, 3, -1]), "some": np.array([7], np.int32)}
    content = model(Case((3, 6, 5), nodes, constants), 14, 1)
    if message:
        assert damaged(content.SerializeToString(), tmp_path).startswith(message)
    else:
        loaded(content, tmp_path)


def whole(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


def floats(*numbers: float) -> NDArray[np.float32]:
    return np.array(numbers, np.float32)


TURNED, BACK = node("Transpose", ["x"], ["t"], perm=[1, 0, 2, 3]), node("Transpose", ["a"], perm=[1, 0, 2, 3])
FLAT, DOUBLE = node("Flatten", ["x"], ["f"]), floats(1, 1, 2, 2)
WORSE = "keep_aspect_ratio_policy is not supported"


@pytest.mark.parametrize(
    ("case", "opset", "message"),
    [
        (of_nodes(node("PRelu", ["x", "s"]), s=floats(*range(5))), 13, "slope must be one number or one a channel, found (5,)"),
        (of_nodes(TURNED, node("Add", ["t", "x"], ["a"]), BACK), 13, "of (3, N, 6, 5) and (N, 3, 6, 5): dimension 0 of both"),
        (of_nodes(node("ImageScaler", bias=[1.0, 2.0])), 7, "bias must be a number for each channel of (N, 3, 6, 5), found"),
        (of_nodes(node("Crop", border=[3, 0, 3, 0])), 7, "a border of (3, 0, 3, 0) and a scale of None must leave something"),
        (of_nodes(node("Crop", border=[0, 0, 0, 0], scale=[7, 5])), 7, "a border of (0, 0, 0, 0) and a scale of (7, 5) must"),
        (of_nodes(node("Crop", border=[0, 0, 0, 0], scale=[5])), 7, "border must be four numbers, and scale two, found"),
        (of_nodes(node("Conv", ["x", "w"], kernel_shape=[3, 2]), w=WEIGHT), 13, "kernel_shape must be that of the weights, (3"),
        (of_nodes(node("Conv", ["x", "w"], auto_pad="SAME"), w=WEIGHT), 13, "auto_pad must be NOTSET, VALID, SAME_UPPER or"),
        (of_nodes(FLAT, node("Gemm", ["f", "w"], transA=1), w=np.ones((90, 4), np.float32)), 13, "transA must be 0"),
        (of_nodes(node("MatMul", ["x", "w"]), w=np.ones((2, 1, 3, 5, 4), np.float32)), 13, "a constant operand must be"),
        (of_nodes(FLAT, node("MatMul", ["f", "x"])), 13, "of (N, 90) and (N, 3, 6, 5): both must have as many dimensions"),
        (of_nodes(node("Einsum", ["x", "x"], equation="nchw,nchv->cwv")), 13, "one letter must count the images, found n"),
        (
            of_nodes(node("BatchNormalization", ["x", *"aaaa"], training_mode=1), a=floats(1, 2, 3)), 15,
            "it must normalise each channel by running statistics",
        ),
        (of_nodes(node("LRN", size=4)), 13, "size must be odd, found 4"),
        (of_nodes(node("GroupNormalization", ["x", "a", "a"], num_groups=2), a=floats(1, 2)), 18, "3 channels must be a multi"),
        (of_nodes(node("AveragePool", kernel_shape=[2, 2], dilations=[2, 2])), 19, "dilations must be 1, found (2, 2)"),
        (of_nodes(node("MaxPool", kernel_shape=[2, 2], pads=[2, 2, 2, 2])), 13, "padding must be less than the window (2, 2)"),
        (of_nodes(node("Resize", ["x", "", "s"], keep_aspect_ratio_policy="not_larger"), s=DOUBLE), 18, WORSE),
        (of_nodes(node("Resize", ["x", "", "s"], mode="area"), s=DOUBLE), 13, "mode must be nearest, linear or cubic, found '"),
        (of_nodes(node("Resize", ["x", "", "s"]), s=floats(1, 2, 2, 2)), 13, "only height and width can be resized, found fac"),
        (of_nodes(node("Resize", ["x", "", "", "s"]), s=whole(1, 6, 3, 3)), 13, "only height and width can be resized, found"),
        (
            of_nodes(node("Resize", ["x", "", "s"], coordinate_transformation_mode="tf_crop_and_resize"), s=DOUBLE), 13,
            "coordinate_transformation_mode 'tf_crop_and_resize' with nearest_mode 'round_prefer_floor' is not supported",
        ),
        (of_nodes(node("Resize", ["x", "", "s"], nearest_mode="odd"), s=DOUBLE), 13, "nearest_mode 'odd' is not supported"),
        (of_nodes(node("Pad", ["x", "p"], mode="mirror"), p=whole(*8 * [0])), 13, "mode must be constant, reflect, edge or wr"),
        (of_nodes(node("Pad", ["x", "p"]), p=whole(*6 * [0])), 13, "pads must be two numbers for each of 4 dimensions, found"),
        (of_nodes(TURNED, node("Concat", ["t", "x"], ["a"], axis=2), BACK), 13, "of (3, N, 6, 5), (N, 3, 6, 5): all must coun"),
        (of_nodes(node("Split", ["x", "s"], ["y", "z"], axis=1), s=whole(1, 1)), 13, "2 parts of 3 are needed, found (1, 1)"),
        (of_nodes(node("Split", ["x", "s"], ["y", "z"], axis=1), s=whole(1, 1, 1)), 13, "2 parts of 3 are needed, found (1, 1"),
        (of_nodes(node("Tile", ["x", "r"]), r=whole(2, 1, 1, 1)), 13, "dimension 0 counts the images of the batch, which must"),
        (of_nodes(node("ArgMax", axis=0)), 13, "dimension 0 counts the images of the batch, which must stay apart"),
        (of_nodes(node("Transpose", perm=[0, 2, 3])), 13, "perm must be the numbers from 0 to 3, found (0, 2, 3)"),
        (of_nodes(node("DepthToSpace", blocksize=1, mode="XYZ")), 13, "mode must be DCR or CRD, found 'XYZ'"),
        (
            of_nodes(node("Dropout", ["x", "r", "t"]), r=np.float32(0.5), t=np.array(True)), 13,
            "it drops at random, in evaluation too",
        ),
        (of_nodes(node("Cast", to=TensorProto.INT8)), 13, "gives int8, and the engine computes in float32"),
        (of_nodes(node("Reshape", ["x", "x"])), 13, "shape must be there, and not depend on the values of the input"),
        (of_nodes(node("Gelu")), 13, "opset 13 has no such operator"),
        (
            of_nodes(node("MaxPool", ["x"], ["a", "i"], kernel_shape=[2, 2]), node("Cast", ["i"], to=TensorProto.FLOAT)), 13,
            "only its first output can be used, and i is",
        ),
        (
            of_nodes(node("MaxPool", ["x"], ["a", "i"], kernel_shape=[2, 2]), node("Add", ["i", "a"])), 13,
            "only its first output can be used, and i is",
        ),
        (
            of_nodes(node("QuantizeLinear", ["x", "s"], axis=1, block_size=2), s=np.ones((1, 2, 6, 5), np.float32)), 21,
            "blocks of their own scales (block_size) are not supported",
        ),
        (of_nodes(node("QuantizeLinear", ["x", "s"], axis=0), s=floats(1, 2)), 13, "dimension 0 counts the images of the batc"),
        (of_nodes(node("QuantizeLinear", ["x", "s"], axis=1), s=floats(*range(1, 6))), 13, "5 scales do not fit axis 1"),
        (
            of_nodes(node("QuantizeLinear", ["x", "s", "z"]), s=np.float32(1), z=np.array(0, np.int16)), 21,
            "zero points must be uint8 or int8, found int16",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_an_operator_says_what_it_lacks(case: Case, opset: int, message: str, tmp_path: Path) -> None:
    found = damaged(model(case, opset).SerializeToString(), tmp_path)
    (operator,) = {each.op_type for each in case.nodes} & {found.split()[0]}
    assert found.startswith(f"{operator} (in node ")
    assert message in found


@pytest.mark.parametrize(
    "made",
    [
        [node("Max", ["a", "b"], ["m"]), node("Min", ["m", "one"], ["c"])],
        [node("Pow", ["a", "b"], ["c"])],
        [node("GlobalAveragePool", ["w"], ["g"]), node("Reshape", ["g", "s"], ["c"])],
        [node("Reshape", ["a", "column"], ["m"]), node("MatMul", ["m", "row"], ["c"])],
        [node("Dropout", ["x", "half", "off"], ["c"])],
    ],
)
def test_operators_compute_constants_too(made: list[Any], tmp_path: Path) -> None:
    constants: dict[str, Any] = {"a": floats(1, 2, 3, 4, 5), "b": floats(3, 2, 1, 0.5, 2), "one": np.float32(2.5)}
    constants |= {"w": WEIGHT[:1], "s": whole(3, 1, 1), "column": whole(5, 1), "row": floats(1, 2, 3, 4, 5)[None]}
    constants |= {"half": np.float32(0.5), "off": np.array(False)}
    read = {name for each in made for name in each.input}
    used = {name: np.asarray(each) for name, each in constants.items() if name in read}
    check(Case((3, 5, 5), [*made, node("Add", ["x", "c"])], used), 13, tmp_path, by_runtime=True)


def test_linear_resizing_has_no_coordinates_of_nearest_pixels(tmp_path: Path) -> None:
    resize = node("Resize", ["x", "", "s"], mode="linear", coordinate_transformation_mode="tf_half_pixel_for_nn", name="one")
    content = model(Case((3, 6, 5), [resize], {"s": np.array([1, 1, 2, 2], np.float32)}), 13)
    message = "Resize (in one): coordinate_transformation_mode 'tf_half_pixel_for_nn' is not supported"
    assert damaged(content.SerializeToString(), tmp_path).startswith(message)


def external(folder: Path, **entries: str) -> bytes:
    """A file whose weight lies in another."""
    content = model(CONV, 13)
    (weight,) = content.graph.initializer
    (folder / "weights.bin").write_bytes(bytes(8) + weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": "weights.bin", "offset": "8"} | entries).items():
        weight.external_data.add(key=key, value=value)
    return content.SerializeToString()


def test_weights_may_lie_in_another_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(external(tmp_path))
    (found,) = load_onnx(tmp_path / "net.onnx").graph.constants.values()
    np.testing.assert_array_equal(found, WEIGHT)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "gone.bin"}, "its data in gone.bin cannot be read: No such file or directory"),
        ({"location": "../weights.bin"}, "its data must lie in the folder of the file, found '../weights.bin'"),
        ({"location": "/etc/passwd"}, "its data must lie in the folder of the file, found '/etc/passwd'"),
        ({"location": "link.bin"}, "its data must lie in the folder of the file, found 'link.bin'"),
        ({"location": ""}, "its data must lie in the folder of the file, found ''"),
        ({"offset": "100"}, "weights.bin must have 432 bytes of it, found 340"),
        ({"offset": "-8"}, "its data must have 432 bytes, found 432 from -8 on"),
        ({"length": "4"}, "its data must have 432 bytes, found 4 from 8 on"),
    ],
)
def test_external_data_is_held_to_its_folder_and_size(entries: dict[str, str], message: str, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "link.bin").symlink_to("/etc/passwd")
    assert damaged(external(tmp_path / "net", **entries), tmp_path / "net") == f"constant w: {message}"


def test_constants_beyond_the_limit_are_refused_before_they_are_read(tmp_path: Path) -> None:
    content = model(CONV, 13)
    content.graph.initializer[0].dims[0] = MOST_BYTES
    found = f"{27 * 4 * MOST_BYTES:,}"
    assert (
        damaged(content.SerializeToString(), tmp_path) == f"constant w: must have at most {MOST_BYTES:,} bytes, found {found}"
    )
    content.graph.initializer[0].dims[0] = 5
    assert damaged(content.SerializeToString(), tmp_path).startswith("constant w: cannot reshape array of size 108")


def test_inputs_that_are_no_floats_of_images_are_refused(tmp_path: Path) -> None:
    content = model(CONV, 13)
    for sizes, found in (((), "()"), ((1, 2, 3, 4, 5, 6), "(1, 2, 3, 4, 5, 6)")):
        content.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, sizes))
        assert damaged(content.SerializeToString(), tmp_path) == (
            f"input z must be of floats and have 1 to 5 dimensions, found float of {found}"
        )
        del content.graph.input[1]
    content.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, (2, 3)))
    assert damaged(content.SerializeToString(), tmp_path) == "the batch of input z must be open or 1, found float of (2, 3)"
    del content.graph.input[1]
    content.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    assert damaged(content.SerializeToString(), tmp_path) == (
        "input x must be of floats and have 1 to 5 dimensions, found uint8 of (N, 3, 6, 5)"
    )
    del content.graph.input[0]
    assert damaged(content.SerializeToString(), tmp_path) == "first reads x, which nothing writes"


def test_an_onnx_file_is_compiled_and_run_without_torch(tmp_path: Path) -> None:
    onnx.save(model(CONV, 13), tmp_path / "net.onnx")
    code = f"""
import sys, numpy as np, shufflekit as sk
engine = sk.compile({str(tmp_path / "net.onnx")!r})
print(engine(np.zeros((2, 3, 6, 5), np.float32)).shape, engine.program.name, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(2, 4, 4, 3) net False\n", "")
