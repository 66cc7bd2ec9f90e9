"""From networks of several inputs to engines; constants that come out; and one line for all that is missing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import shufflekit as sk
from shufflekit import compiling
from shufflekit.data.preprocess import Preprocessing
from shufflekit.errors import InputError, UsageError
from shufflekit.runtime import Engine
from tests.graph.from_onnx.files import TensorProto, helper, numpy_helper, onnx, runtime
from tests.plan.replay import assert_memory_holds

native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> NDArray[np.float32]:
    return RANDOM.standard_normal(shape, np.float32)


class Masked(nn.Module):
    """Of an image, a mask, and one number an image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image: Tensor, mask: Tensor, number: Tensor) -> list[Tensor]:
        y = self.conv(torch.cat([image, image], 1)[:, 1:4]) * mask
        return [y, y.mean((2, 3)) * number]


SHAPES = {"image": (1, 3, 6, 5), "mask": (1, 4, 6, 5), "number": (1, 4)}


@pytest.mark.parametrize(
    "given", [SHAPES, list(SHAPES.values()), dict(reversed(SHAPES.items()))], ids=["names", "order", "any order"]
)
def test_a_torch_network_of_several_inputs(given: Any) -> None:
    network = Masked().eval()
    engine = sk.compile(network, given)
    assert [(each.name, each.shape) for each in engine.inputs] == [(name, list(shape[1:])) for name, shape in SHAPES.items()]
    inputs = [numbers(3, *shape[1:]) for shape in SHAPES.values()]
    with torch.inference_mode():
        expected = network(*map(torch.from_numpy, inputs))
    by_name = dict(reversed(list(zip(SHAPES, inputs))))
    for found in (engine(*inputs), engine(**by_name), engine(inputs[0], mask=inputs[1], number=inputs[2])):
        for y, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(y, right.numpy(), rtol=1e-5, atol=1e-5)


def test_inputs_that_never_meet_have_one_batch() -> None:
    class Apart(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            return a.relu(), b.reshape(b.shape[0], 6).sigmoid()

    engine = sk.compile(Apart(), [(1, 5), (1, 2, 3)])
    a, b = numbers(4, 5), numbers(4, 2, 3)
    np.testing.assert_allclose(engine(a, b)[1], 1 / (1 + np.exp(-b.reshape(4, 6))), rtol=1e-5)
    with pytest.raises(InputError, match="inputs: must have the same number of images, found 3, 4"):
        engine(a, b[:3])


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 5])
def test_inputs_of_one_to_five_dimensions(dimensions: int) -> None:
    shape = (1, 2, 3, 4, 5)[:dimensions]
    x = numbers(3, *shape[1:])
    np.testing.assert_array_equal(sk.compile(nn.ReLU(), shape)(x), np.maximum(x, 0))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ((1, 3, 6, 5), "input_shape: must be one for each of the inputs image, mask, number, found 1"),
        ([(1, 3, 6, 5), (1, 4, 6, 5)], "input_shape: must be one for each of the inputs image, mask, number, found 2"),
        ({**SHAPES, "masks": (1, 2)}, "input_shape: must be of the inputs image, mask, number, found masks"),
        ({"mask": (1, 4, 6, 5)}, "input_shape: must be of all inputs, image, mask, number, found none of image, number"),
        (
            [(1, 3, 6, 5), (1, 4, 6, 5), (1, 7)],
            r"Masked cannot be captured at \(N, 3, 6, 5\) and \(N, 4, 6, 5\) and \(N, 7\): ",
        ),
        ((1, 3, 6, 5, 1, 1), "input_shape: must have 1 to 5 dimensions"),
    ],
)
def test_shapes_that_do_not_fit_a_torch_network(shapes: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sk.compile(Masked(), shapes)


# ONNX files.


def file(
    folder: Path, nodes: list[Any], inputs: dict[str, tuple[int | str, ...]], outputs: list[str], **constants: NDArray[Any]
) -> Path:
    def tensor(name: str, sizes: Any = None) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)

    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "graph", [tensor(*each) for each in inputs.items()], [*map(tensor, outputs)], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "net.onnx")
    return folder / "net.onnx"


def in_runtime(path: Path, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
    return runtime().InferenceSession(str(path)).run(None, inputs)


NODES = [
    helper.make_node("Conv", ["image", "w"], ["maps"]),
    helper.make_node("Mul", ["maps", "mask"], ["y"]),
]


@pytest.mark.parametrize("batches", [("N", "N"), ("N", "M"), (1, 1), ("N", 1)], ids=str)
def test_an_onnx_file_of_several_inputs(batches: tuple[int | str, int | str], tmp_path: Path) -> None:
    inputs = {"image": (batches[0], 3, 6, "width"), "mask": (batches[1], 4, 6, "width")}
    path = file(tmp_path, NODES, inputs, ["y"], w=numbers(4, 3, 1, 1))
    engine = sk.compile(path, {"image": (1, 3, 6, 5), "mask": (1, 4, 6, 5)})
    assert ("batch" in engine.program.info) == (1 in batches)
    image, mask = numbers(2, 3, 6, 5), numbers(2, 4, 6, 5)
    singles = [in_runtime(path, image=image[i : i + 1], mask=mask[i : i + 1])[0] for i in range(2)]
    np.testing.assert_allclose(engine(mask=mask, image=image), np.concatenate(singles), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (None, r"shape: .*net.onnx leaves sizes of its input mask open and needs it, found \(N, 4, 6, width\)"),
        ({"image": (1, 3, 6, 5)}, r"leaves sizes of its input mask open"),
        ((1, 3, 6, 5), "shape: must be one for each of the inputs image, mask, found 1"),
        ([(1, 3, 6, 5), (1, 4, 6)], r"must be that of the input mask of .*, \(N, 4, 6, width\), found \(1, 4, 6\)"),
        ([(1, 3, 6, 5), (1, 4, 7, 5)], r"must be that of the input mask of .*, \(N, 4, 6, width\), found \(1, 4, 7, 5\)"),
    ],
)
def test_shapes_that_do_not_fit_a_file(shapes: Any, message: str, tmp_path: Path) -> None:
    inputs = {"image": ("N", 3, 6, 5), "mask": ("N", 4, 6, "width")}
    path = file(tmp_path, NODES, inputs, ["y"], w=numbers(4, 3, 1, 1))
    with pytest.raises(UsageError, match=message):
        sk.compile(path, shapes)


ANCHORS = numbers(1, 7, 4)


def test_a_constant_output_of_one_image_makes_a_file_of_one(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["c"], ["y"]), helper.make_node("Identity", ["d"], ["z"])]
    engine = sk.compile(file(tmp_path, nodes, {"x": ("N", 3)}, ["y", "z"], c=ANCHORS, d=2 * ANCHORS))
    assert "batch" in engine.program.info
    for found, one in zip(engine(numbers(2, 3)), (ANCHORS, 2 * ANCHORS), strict=True):
        np.testing.assert_array_equal(found, np.concatenate([one, one]))


@pytest.mark.parametrize("batch", ["N", 1])
def test_outputs_that_are_constants_come_out_for_each_image(batch: int | str, tmp_path: Path) -> None:
    """As detectors give their anchors: tiled by the size of the batch where that is open."""
    tiled = [
        helper.make_node("Shape", ["x"], ["sizes"], end=1),
        helper.make_node("Concat", ["sizes", "ones"], ["repeats"], axis=0),
        helper.make_node("Tile", ["anchors", "repeats"], ["all"]),
    ]
    same = [helper.make_node("Identity", ["anchors"], ["all"])]
    nodes = [helper.make_node("Relu", ["x"], ["y"]), *(tiled if batch == "N" else same)]
    path = file(tmp_path, nodes, {"x": (batch, 3)}, ["all", "y"], anchors=ANCHORS, ones=np.array([1, 1]))
    engine = sk.compile(path, threads=2)
    assert_memory_holds(engine.program)
    x = numbers(5, 3)
    found = engine(x)
    np.testing.assert_array_equal(found[0], np.repeat(ANCHORS, 5, 0))
    np.testing.assert_array_equal(found[1], np.maximum(x, 0))
    np.testing.assert_array_equal(engine(x[:1])[0], ANCHORS)


@pytest.mark.parametrize(
    ("batch", "constant", "message"),
    [
        ("N", ANCHORS[0], r"dimension 0 of a constant must count the images of the batch, found \(7, 4\) and \(7, 4\)"),
        (1, ANCHORS[0], r"must be of floats, and dimension 0 count the images .*, found a constant float32 of \(7, 4\)"),
        (1, np.ones((1, 3), np.int64), r"must be of floats, .*, found a constant int64 of \(1, 3\)"),
    ],
)
def test_constants_that_no_image_has_are_refused(batch: int | str, constant: Any, message: str, tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["c"], ["z"])]
    path = file(tmp_path, nodes, {"x": (batch, 3)}, ["y", "z"], c=constant)
    with pytest.raises(InputError, match=f"net.onnx: output z: {message}"):
        sk.compile(path)


# What is missing.


def test_a_file_lacks_what_the_reader_and_the_engine_lack_in_one_line(tmp_path: Path) -> None:
    """Also what comes behind an operator that is not there, whose sizes are known all the same."""
    nodes = [
        helper.make_node("Det", ["x"], ["a"], name="one"),
        helper.make_node("Tan", ["x"], ["b"], name="two"),
        helper.make_node("LRN", ["b"], ["y"], name="three", size=3, beta=0.3),
        helper.make_node("Unsqueeze", ["a", "axes"], ["z"], name="four"),
    ]
    path = file(tmp_path, nodes, {"x": ("N", 3, 4, 4)}, ["y", "z"], axes=np.array([2, 3]))
    with pytest.raises(InputError) as caught:
        sk.compile(path)
    assert str(caught.value) == (
        f"{path}: operators Det (in one), Tan (in two) are not supported; "
        "local_response_norm (in three): beta must be a multiple of 0.25 from 0.25 to 4, found 0.30000001192092896"
    )
    with pytest.raises(InputError, match=r"Tan \(in two\) are not supported; local_response_norm \(in three\): beta"):
        sk.load_onnx(path)


def test_a_torch_network_lacks_what_the_capture_and_the_engine_lack_in_one_line() -> None:
    class Lacking(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = torch.nn.functional.local_response_norm(x.cumprod(1), 3, beta=0.3)
            return y, x.cummin(1)[0].relu().cummax(2)[0]

    with pytest.raises(UsageError) as caught:
        sk.compile(Lacking(), (1, 3, 4, 4))
    where = "(in the network itself)"
    assert str(caught.value) == (
        f"compile: operators aten.cumprod {where}, aten.cummin {where}, aten.cummax {where} are not supported; "
        f"local_response_norm {where}: beta must be a multiple of 0.25 from 0.25 to 4, found 0.3"
    )


# In bytes.


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


def test_a_network_is_rounded_by_images_and_its_plan_says_how(tmp_path: Path) -> None:
    net, x = small(), numbers(20, 3, 6, 5)
    exact, found = sk.compile(net, (1, 3, 6, 5)), sk.compile(net, (1, 3, 6, 5), int8=x)
    assert exact.quantization is None
    assert found.quantization is not None
    assert [step.name for step in found.quantization.steps if step.operator != "adaptive_avg_pool"] == ["0", "2", "5"]
    difference = np.abs(found(x) - exact(x)).max() / np.abs(exact(x)).max()
    assert 1e-5 < difference < 0.05
    found.save(tmp_path / "net.plan")
    assert sk.load(tmp_path / "net.plan").quantization == found.quantization


def test_an_onnx_file_is_rounded_too(tmp_path: Path) -> None:
    path = file(tmp_path, NODES[:1], {"image": ("N", 3, 6, 5)}, ["maps"], w=numbers(4, 3, 1, 1))
    x = numbers(8, 3, 6, 5)
    found = sk.compile(path, int8=x, weight_bits=7)
    assert found.quantization is not None
    assert found.quantization.weight_bits == 7
    (exact,) = in_runtime(path, image=x)
    assert 1e-5 < np.abs(found(x) - exact).max() / np.abs(exact).max() < 0.03


def test_what_loses_nearly_all_is_warned_of() -> None:
    net = nn.Conv2d(3, 2, 1, bias=False)
    net.weight.data = torch.tensor([[1e4, -1e4, 1.0], [1e4, -1e4, 2.0]]).reshape(2, 3, 1, 1)
    x = np.repeat(numbers(20, 1, 6, 5), 3, 1)
    with pytest.warns(UserWarning, match=r"output conv2d must have 20 dB .* step .* loses most.*--keep"):
        sk.compile(net, (1, 3, 6, 5), int8=x, only=["conv2d"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["0"]}, "keep: needs int8, the images to learn ranges from"),
        ({"only": ["0"]}, "only: needs int8, the images to learn ranges from"),
        ({"int8": np.zeros((1, 3, 7, 5), np.float32)}, r"images must be \(N, 3, 6, 5\) float32"),
    ],
)
def test_rounding_that_cannot_be_is_refused(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sk.compile(small(), (1, 3, 6, 5), **options)


# Photos as bytes.

CFG = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def padded(channels: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))


def photos(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 10, 7, channels), np.uint8)


class Products(nn.Module):
    """Pointwise, in groups, of an odd depth, with a residual, and linear: what is multiplied, rounded where it is told."""

    def __init__(self, rounds: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rounds = rounds
        self.first, self.second, self.third = nn.Conv2d(16, 63, 1), nn.Conv2d(63, 60, 1, groups=3), nn.Conv2d(60, 63, 1)
        self.linear = nn.Linear(63, 40)
        if rounds:
            for layer in (self.first, self.second, self.third, self.linear):
                layer.weight.data = self.rounded(layer.weight.data)

    def rounded(self, x: Tensor) -> Tensor:
        return x.bfloat16().float() if self.rounds else x

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.rounded(x)).relu()
        y = self.third(self.rounded(self.second(self.rounded(y)).clamp(0, 6))) + y
        return self.linear(self.rounded(y.mean((2, 3))))


def test_bfloat16_rounds_what_is_multiplied_and_nothing_else() -> None:
    x = numbers(2, 16, 9, 11)
    x[:, ::2] = 1 + (2 * RANDOM.integers(0, 128, x[:, ::2].shape) + 1) / 256  # in the middle between two
    engine = sk.compile(Products(False).eval(), x.shape, precision="bfloat16")
    assert engine.program.info["precision"] == "bfloat16"
    assert [step.variant for step in engine.program.steps if step.kernel == "gemm"] == 4 * ["bfloat16"]
    with torch.inference_mode():
        exact, rounded = (Products(rounds).eval()(torch.from_numpy(x)).numpy() for rounds in (False, True))
    largest = np.abs(exact).max()
    for threads, instruction_set in itertools.product((1, 2), native.instruction_sets()):
        found = Engine(engine.program.to_bytes(), threads, instruction_set)(x[:1])
        # A sum that is rounded the other way before the next product is a unit of bfloat16 there.
        assert np.abs(found - rounded[:1]).max() < 1e-3 * largest
        assert 1e-4 * largest < np.abs(found - exact[:1]).max() < 1e-2 * largest
    assert np.abs(sk.compile(Products(False).eval(), x.shape)(x) - exact).max() < 1e-5 * largest


def test_bfloat16_that_is_no_faster_here_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "multiplies_bfloat16", lambda: False)
    with pytest.warns(UserWarning, match=r"^precision: this processor has no AVX512_BF16: .*, no faster$"):
        sk.compile(nn.Conv2d(3, 4, 1), (1, 3, 5, 5), precision="bfloat16")


def test_a_precision_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^precision: must be float32 or bfloat16, found 'float16'$"):
        sk.compile(nn.Conv2d(3, 4, 1), (1, 3, 5, 5), precision="float16")


@pytest.mark.parametrize("layout", [None, "NHWC", "NCHW"])
@pytest.mark.parametrize("order", ["rgb", "bgr", "grey"])
def test_photos_give_the_bits_that_prepared_ones_give(order: str, layout: Any) -> None:
    channels = 1 if order == "grey" else 3
    net, shape, info = padded(channels), (1, channels, 10, 7), {**CFG, "channel_order": order}
    prepare = Preprocessing.from_config({**info, "input_size": shape[1:], "crop_pct": 1.0})
    scale, shift = prepare.affine()
    planes = np.ascontiguousarray(photos(channels).transpose(0, 3, 1, 2))
    x = planes[:, prepare.channels()] * scale[:, None, None] + shift[:, None, None]
    engine = sk.compile(net, shape, input="uint8", layout=layout, info=info)
    assert engine.inputs[0].type == "uint8"
    assert {key: engine.program.info[key] for key in info} == {**info, "mean": list(CFG["mean"]), "std": list(CFG["std"])}
    given = planes if layout == "NCHW" else photos(channels)
    np.testing.assert_array_equal(engine(given), sk.compile(net, shape)(x))
    np.testing.assert_array_equal(engine(torch.from_numpy(given)).numpy(), engine(given))
    with pytest.raises(InputError, match="must be uint8, found float32"):
        engine(given.astype(np.float32))


def test_a_padded_network_in_bytes_is_right_at_the_border_too() -> None:
    net, exact = padded(), sk.compile(padded(), (1, 3, 10, 7), input="uint8", info=CFG)(photos())
    engine = sk.compile(net, (1, 3, 10, 7), input="uint8", info=CFG, int8=photos())
    assert [step.kernel for step in engine.program.steps[:2]] == ["unpack", "convolution_int8"]
    less = np.abs(engine(photos()) - exact) / np.abs(exact).max()
    border = np.ones(exact.shape, bool)
    border[:, :, 1:, 1:-1] = False
    assert less[border].max() < 0.02
    assert less[~border].max() < 0.02
    assert engine.quantization is not None
    assert [step.name for step in engine.quantization.steps] == ["0", "2"]
    dark = sk.compile(net, (1, 3, 10, 7), input="uint8", info={"mean": (-0.5,) * 3, "std": (1,) * 3}, int8=photos())
    assert dark.program.steps[0].kernel == "unpack_float", "no byte is zero, as the border is"


def test_an_onnx_file_with_channels_last_takes_photos(tmp_path: Path) -> None:
    planes = helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2])
    nodes = [planes, helper.make_node("Conv", ["planes", "w"], ["y"])]
    path = file(tmp_path, nodes, {"image": ("N", 10, 7, 3)}, ["y"], w=numbers(4, 3, 3, 3))
    info = {**CFG, "channel_order": "bgr"}
    scale, shift = Preprocessing.from_config({**info, "input_size": (3, 10, 7)}).affine()
    found = sk.compile(path, input="uint8", info=info)(photos())
    np.testing.assert_array_equal(found, sk.compile(path)(photos()[..., ::-1] * scale + shift))
    with pytest.raises(UsageError, match="takes photos: channel_order must be in info"):
        sk.compile(path, input="uint8", info=CFG)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": "bytes"}, "^input: must be float32 or uint8, found 'bytes'$"),
        ({"input": "uint8", "layout": "HWC"}, "^layout: must be NHWC or NCHW, found 'HWC'$"),
        ({"layout": "NCHW"}, "^layout: is that of photos, which input uint8 takes, found NCHW for float32$"),
        ({"input": "uint8"}, "^input: uint8 needs to know how Sequential takes photos: mean and std must be in info$"),
        ({"input": "uint8", "info": {**CFG, "std": (0, 1, 1)}}, "^mean, std: must be 3 numbers each, std above 0"),
        ({"input": "uint8", "info": CFG, "int8": np.zeros((2, 3, 10, 7), np.float32)}, r"must be \(N, 10, 7, 3\) uint8"),
    ],
)
def test_photos_that_cannot_be_taken(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sk.compile(padded(), (1, 3, 10, 7), **options)


@pytest.mark.parametrize("shape", [(1, 3, 3, 7), (1, 2, 10, 7)])
def test_what_is_no_photo_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="^input: uint8 is of one photo with 1 or 3 channels and other heights, Conv2d takes"):
        sk.compile(nn.Conv2d(shape[1], 4, 1), shape, input="uint8", info=CFG)
