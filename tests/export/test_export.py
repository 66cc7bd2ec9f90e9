"""The table of what works: every ShuffleNet in every installed format computes what PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from shufflekit.errors import InputError, MissingExtraError, UsageError
from shufflekit.export import FORMATS, Format, export, to_ncnn, verify
from shufflekit.export.convert import ALLOWED_DIFFERENCE
from shufflekit.export.random_weights import spread_weights
from shufflekit.models import build_model, list_models
from tests.families import family_and_size

SHAPE = (1, 3, 64, 64)
SLOW_FORMATS = ("executorch", "litert")  # their converters take half a minute a network
# What they import warns of its own ageing.
OTHERS_WARN = pytest.mark.filterwarnings("default")
FAMILIES = ("shufflenet_v1_g", "shufflenet_v2_x")


def installed(name: str) -> str:
    """The format, or a skip that says which package is missing."""
    try:
        FORMATS[name].require()
    except MissingExtraError as error:
        pytest.skip(str(error))
    return name


def table() -> list[object]:
    """Every ShuffleNet in every format; slow but for the smallest of V1 and V2 in the quick formats."""
    names = [name for name in list_models() if "shufflenet" in name]
    quick = {min((n for n in names if n.startswith(family)), key=lambda n: family_and_size(n)[1]) for family in FAMILIES}

    def marks(name: str, form: str) -> list[pytest.MarkDecorator]:
        if form in SLOW_FORMATS:
            return [pytest.mark.slow, OTHERS_WARN]
        return [] if name in quick else [pytest.mark.slow]

    return [pytest.param(name, form, marks=marks(name, form)) for name in names for form in FORMATS]


@pytest.mark.parametrize(("name", "form"), table())
def test_every_shufflenet_exports_to_every_format(name: str, form: str, tmp_path: Path) -> None:
    net = spread_weights(build_model(name), SHAPE)
    files = export(net, SHAPE, installed(form), tmp_path)
    assert [file.name for file in files] == [name + suffix for suffix in FORMATS[form].suffixes]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert verify(net, SHAPE, form, tmp_path, name) <= ALLOWED_DIFFERENCE


def test_the_table_has_every_shufflenet_and_format() -> None:
    cells = [parameters.values for parameters in table()]
    names = {name for name in list_models() if "shufflenet" in name}
    assert set(cells) == {(name, form) for name in names for form in FORMATS}
    # V1: 5 groups of 6 widths, a shallow one; V2 and V2*: 4 widths each.
    assert len({name for name in names if name.startswith(FAMILIES)}) == 39


@pytest.mark.parametrize("form", [*(form for form in FORMATS if form not in SLOW_FORMATS)])
def test_a_dynamic_batch_takes_one_and_three_images(form: str, tmp_path: Path) -> None:
    net = spread_weights(build_model("shufflenet_v1_g2_x0_25"), SHAPE)
    export(net, SHAPE, installed(form), tmp_path, name="net", dynamic_batch=True)
    assert verify(net, SHAPE, form, tmp_path, "net", dynamic_batch=True) <= ALLOWED_DIFFERENCE


@pytest.mark.slow
@OTHERS_WARN
def test_a_dynamic_batch_in_executorch(tmp_path: Path) -> None:
    test_a_dynamic_batch_takes_one_and_three_images("executorch", tmp_path)


@pytest.mark.parametrize("form", [*(form for form in FORMATS if form not in SLOW_FORMATS)])
def test_several_outputs_keep_their_order(form: str, tmp_path: Path) -> None:
    net = spread_weights(build_model("shufflenet_v2_x0_5", features_only=True, out_indices=(2, 3, 4)), SHAPE)
    export(net, SHAPE, installed(form), tmp_path, name="net")
    assert verify(net, SHAPE, form, tmp_path, "net") <= ALLOWED_DIFFERENCE
    run = FORMATS[form].load(tmp_path / "net", 1)
    assert [y.shape for y in run(np.zeros(SHAPE, np.float32))] == [(1, 48, 8, 8), (1, 96, 4, 4), (1, 192, 2, 2)]


def test_a_wrong_file_is_seen(tmp_path: Path) -> None:
    net = spread_weights(build_model("shufflenet_v2_x0_5"), SHAPE)
    export(net, SHAPE, installed("onnx"), tmp_path, name="net")
    with torch.no_grad():
        net.stage3[4].branch2[0].weight[7] *= 2  # one channel of one layer in the middle
    assert verify(net, SHAPE, "onnx", tmp_path, "net") > ALLOWED_DIFFERENCE


def test_the_opset_is_that_asked_for(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'shufflekit[bench]'")
    net = build_model("shufflenet_v2_x0_5")
    for opset in (11, 18):
        (path,) = export(net, SHAPE, installed("onnx"), tmp_path, opset=opset)
        assert [one.version for one in onnx.load(path).opset_import if one.domain == ""] == [opset]
    for opset in (8, 24):
        with pytest.raises(UsageError, match=f"^opset: must be 9 to 23, found {opset}$"):
            export(net, SHAPE, "onnx", tmp_path, opset=opset)


def test_alexnet_keeps_its_local_response_norms(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'shufflekit[bench]'")
    shape = (1, 3, 224, 224)
    net = spread_weights(build_model("alexnet", num_classes=10), shape)
    (path,) = export(net, shape, installed("onnx"), tmp_path, name="net")
    assert [node.op_type for node in onnx.load(path).graph.node].count("LRN") == 2
    assert verify(net, shape, "onnx", tmp_path, "net") <= ALLOWED_DIFFERENCE


class Sorts(nn.Module):
    """An operator that no older exporter has."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(x).abs()


def weight_norm() -> nn.Module:
    return parametrizations.weight_norm(nn.Conv2d(3, 8, 3))


def pruned() -> nn.Module:
    return prune.l1_unstructured(nn.Conv2d(3, 8, 3), "weight", amount=0.5)


@pytest.mark.parametrize("form", [*(form for form in FORMATS if form not in SLOW_FORMATS)])
@pytest.mark.parametrize("build", [weight_norm, pruned])
def test_weights_that_are_computed_from_others_are_written_as_they_are(
    build: Callable[[], nn.Module], form: str, tmp_path: Path
) -> None:
    net = nn.Sequential(build(), nn.BatchNorm2d(8), nn.ReLU()).train()
    net[1].eval()
    flags = [module.training for module in net.modules()]
    export(net, SHAPE, installed(form), tmp_path, name="net")
    assert verify(net, SHAPE, form, tmp_path, "net") <= ALLOWED_DIFFERENCE
    assert [module.training for module in net.modules()] == flags


def test_a_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, other = (spread_weights(build_model("shufflenet_v2_x0_5"), SHAPE, seed) for seed in (0, 1))
    form = FORMATS[installed("onnx")]
    write = type(form).write
    monkeypatch.setattr(type(form), "write", lambda self, model, *rest: write(self, other, *rest))
    with pytest.raises(
        InputError, match=r"^ONNX: differs from PyTorch by .* of the largest output, needed 1e-03; not written$"
    ):
        export(net, SHAPE, "onnx", tmp_path, name="net")
    assert list(tmp_path.iterdir()) == []
    (path,) = export(net, SHAPE, "onnx", tmp_path, name="net", verify=False)
    assert path.exists()


def test_without_the_runtime_a_warning_says_that_the_file_was_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(FORMATS[installed("onnx")]), "packages", ("no_such_runtime",))
    with pytest.warns(UserWarning, match="^ONNX: not verified, since no_such_runtime is not installed: pip install"):
        (path,) = export(nn.Conv2d(3, 4, 3), SHAPE, "onnx", tmp_path)
    assert path.exists()


def test_outputs_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="^net in PyTorch: [0-9]+ of 12288 output values are infinite or not a number$"):
        export(Roots(), SHAPE, installed("onnx"), tmp_path, name="net")
    assert list(tmp_path.iterdir()) == []


class Roots(nn.Module):
    """No number where the input is negative."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sqrt()


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (1, 3, 8, -1), (1, 3, 8.5, 8)])
def test_a_shape_that_is_none_is_refused_before_anything_runs(shape: tuple[int, ...], tmp_path: Path) -> None:
    for run in (lambda: export(Roots(), shape, "onnx", tmp_path), lambda: verify(Roots(), shape, "onnx", tmp_path, "net")):
        with pytest.raises(UsageError, match=r"^input_shape: must be \(N, C, H, W\), whole numbers of 1 or more, found"):
            run()


def test_an_input_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="^Conv2d: fails on an input of 1x2x8x8: RuntimeError: Given groups=1"):
        export(nn.Conv2d(3, 4, 3), (1, 2, 8, 8), installed("onnx"), tmp_path)


def test_a_refused_network_is_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="^ONNX: PyTorch cannot export this network: .*fft") as caught:
        export(Sorts(), SHAPE, installed("onnx"), tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Takes(nn.Module):
    """Some channels by number."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.tensor([2, 0, 2]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.index_select(1, self.numbers)


@pytest.mark.parametrize("form", ["onnx", "openvino", "mnn"])
def test_channels_are_taken_by_number(form: str, tmp_path: Path) -> None:
    export(Takes(), SHAPE, installed(form), tmp_path, name="net")
    assert verify(Takes(), SHAPE, form, tmp_path, "net") <= ALLOWED_DIFFERENCE


def test_what_ncnn_would_crash_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^pnnx: cannot convert .*: node .* \(Gather\) takes channels by number$"):
        export(Takes(), SHAPE, installed("ncnn"), tmp_path)


def test_ncnns_program_finds_a_copy_and_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of Windows may not make links, and the program has another name there."""
    started: list[tuple[str, bool]] = []

    def start(command: list[str], cwd: str, **_: object) -> SimpleNamespace:
        started.append((Path(command[0]).name, Path(cwd, command[1]).is_symlink()))
        return SimpleNamespace(returncode=1)

    installed("ncnn")
    monkeypatch.setattr(to_ncnn, "subprocess", SimpleNamespace(run=start))
    monkeypatch.setattr(to_ncnn, "os", SimpleNamespace(name="nt"))
    with pytest.raises(InputError, match="^pnnx: cannot convert net.onnx: exit code 1$"):
        export(nn.Conv2d(3, 8, 3), SHAPE, "ncnn", tmp_path)
    assert started == [("pnnx.exe", False)]


def test_what_is_asked_wrongly(tmp_path: Path) -> None:
    net = build_model("shufflenet_v2_x0_5")
    with pytest.raises(UsageError, match=r"^format: must be one of onnx, .*, litert, found 'coreml'$"):
        export(net, SHAPE, "coreml", tmp_path)
    with pytest.raises(
        UsageError, match=r"^input_shape: must be \(N, C, H, W\), whole numbers of 1 or more, found \(3, 64, 64\)$"
    ):
        export(net, SHAPE[1:], "onnx", tmp_path)
    with pytest.raises(UsageError, match="^dynamic_batch: LiteRT has the batch that it is written with"):
        export(net, SHAPE, "litert", tmp_path, dynamic_batch=True)


@pytest.mark.parametrize(
    ("form", "extra"), [("onnx", "bench"), ("ncnn", "bench"), ("executorch", "executorch"), ("litert", "litert")]
)
def test_a_missing_package_is_told_by_its_extra(form: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = ("no_such_package", *FORMATS[form].packages)
    monkeypatch.setattr(type(FORMATS[form]), "packages", packages)
    monkeypatch.setattr(type(FORMATS[form]), "writers", packages)
    with pytest.raises(MissingExtraError) as caught:
        export(build_model("shufflenet_v2_x0_5"), SHAPE, form, tmp_path)
    assert str(caught.value) == f"no_such_package is not installed: pip install 'shufflekit[{extra}]'"
    assert FORMATS[form].version == ""
    assert isinstance(FORMATS[form], Format)


def test_what_mnn_gives_is_there_after_the_next_call(tmp_path: Path) -> None:
    export(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), SHAPE, installed("mnn"), tmp_path, name="net")
    run = FORMATS["mnn"].load(tmp_path / "net", 1)
    x = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    (first,) = run(x)
    kept = first.copy()
    for number in range(3):
        run(number - x)
    np.testing.assert_array_equal(first, kept)
