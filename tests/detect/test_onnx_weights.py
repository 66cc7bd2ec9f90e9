"""Files made here: convolutions in a row, as an export writes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from shufflekit.detect.nanodet import NanoDet
from shufflekit.detect.onnx_weights import fill_in_order, read_convolutions
from shufflekit.errors import WeightsError

onnx = pytest.importorskip("onnx")


def write(path, convolutions: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    helper, arrays = onnx.helper, []
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    for number, (name, weight, bias) in enumerate(convolutions):
        arrays += [onnx.numpy_helper.from_array(weight, name), onnx.numpy_helper.from_array(bias, f"b{number}")]
        nodes.append(helper.make_node("Conv", ["y", name, f"b{number}"], [f"z{number}"], name=f"Conv_{number}"))
    onnx.save(helper.make_model(helper.make_graph(nodes, "net", [], [], arrays)), str(path))


def test_convolutions_come_in_order(tmp_path):
    weights = [np.full((2, 1, 1, 1), i, np.float32) for i in range(3)]
    write(tmp_path / "a.onnx", [(f"w{i}", weight, weight[:, 0, 0, 0] + 0.5) for i, weight in enumerate(weights)])
    found = read_convolutions(tmp_path / "a.onnx")
    assert [(one.name, one.weight[0].item(), one.bias[0].item()) for one in found] == [
        ("w0", 0, 0.5),
        ("w1", 1, 1.5),
        ("w2", 2, 2.5),
    ]


def test_no_convolutions_are_refused(tmp_path):
    write(tmp_path / "a.onnx", [])
    with pytest.raises(WeightsError, match=r"a\.onnx: an ONNX file without convolutions"):
        read_convolutions(tmp_path / "a.onnx")


def test_a_convolution_without_bias_is_refused(tmp_path):
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="Conv_7")
    array = onnx.numpy_helper.from_array(np.zeros((1, 1, 1, 1), np.float32), "w")
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "net", [], [], [array])), str(tmp_path / "a.onnx"))
    with pytest.raises(WeightsError, match="Conv_7: must have weight and bias as constants, found x, w"):
        read_convolutions(tmp_path / "a.onnx")


@pytest.fixture(scope="module")
def folded():
    """A small detector with lively norms, and its convolutions with those folded in, by hand, level by level."""
    torch.manual_seed(0)
    net = NanoDet("shufflenet_v2_x0_5", num_classes=3, channels=16).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, std=0.2)
    modules = dict(net.named_modules())
    pairs = []
    chains = [name for name, module in modules.items() if name.startswith("backbone") and isinstance(module, nn.Sequential)]
    for chain in chains:
        layers = [module for module in modules[chain] if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
        pairs += list(zip(layers[::2], layers[1::2]))
    pairs += [(lateral.conv, None) for lateral in net.fpn.lateral_convs]
    for blocks, last in zip(net.head.cls_convs, net.head.gfl_cls):
        for block in blocks:
            pairs += [(block.depthwise, block.dwnorm), (block.pointwise, block.pwnorm)]
        pairs.append((last, None))
    names = {module: f"{name}.weight" for name, module in modules.items()}
    found = []
    for conv, norm in pairs:
        if norm is None:
            found.append((names[conv], conv.weight, conv.bias))
            continue
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        found.append((str(len(found)), conv.weight * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale))
    return net, [(name, weight.detach().numpy(), bias.detach().numpy()) for name, weight, bias in found]


def test_folded_norms_give_the_same_outputs(folded, tmp_path):
    net, convolutions = folded
    write(tmp_path / "net.onnx", convolutions)
    other = NanoDet("shufflenet_v2_x0_5", num_classes=3, channels=16)
    fill_in_order(other, read_convolutions(tmp_path / "net.onnx"), "net.onnx")
    assert other.training
    for norm in (module for module in other.modules() if isinstance(module, nn.BatchNorm2d)):
        assert torch.allclose(norm.weight / (norm.running_var + norm.eps).sqrt(), torch.ones(1), rtol=0, atol=1e-6)
    x = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for found, expected in zip(other.eval()(x), net(x)):
            assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_name_of_ours_at_another_place_is_refused(folded, tmp_path):
    _, convolutions = folded
    names = [name for name, _, _ in convolutions]
    first, second = names.index("head.gfl_cls.0.weight"), names.index("head.gfl_cls.1.weight")
    exchanged = list(convolutions)
    exchanged[first], exchanged[second] = exchanged[second], exchanged[first]
    write(tmp_path / "net.onnx", exchanged)
    other = NanoDet("shufflenet_v2_x0_5", num_classes=3, channels=16)
    with pytest.raises(WeightsError, match=r"is head\.gfl_cls\.1\.weight, needed head\.gfl_cls\.0\.weight"):
        fill_in_order(other, read_convolutions(tmp_path / "net.onnx"), "net.onnx")


@pytest.mark.parametrize("wrong", [np.zeros(1, np.float32), np.zeros(24, np.complex64)], ids=["shape", "kind"])
def test_a_bias_that_does_not_fit_leaves_the_detector_as_it_was(folded, wrong, tmp_path):
    """One value would be spread over all channels, without a word."""
    _, found = folded
    net = NanoDet("shufflenet_v2_x0_5", num_classes=3, channels=16)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    write(tmp_path / "net.onnx", [*found[:5], (*found[5][:2], wrong), *found[6:]])
    with pytest.raises(WeightsError, match="file: cannot be loaded: "):
        fill_in_order(net, read_convolutions(tmp_path / "net.onnx"), "file")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
