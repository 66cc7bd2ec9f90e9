import pytest
import torch

from shufflekit.errors import WeightsError
from shufflekit.models import build_model
from shufflekit.weights import create_model
from shufflekit.weights.load import load_weights, stem_for


def net(name="shufflenet_v2_x0_5", **options):
    return build_model(name, **{"num_classes": 10, **options})


def snapshot(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def unchanged(model, before):
    after = model.state_dict()
    return list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("name", ["shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5", "shufflenet_v2_plus_small"])
def test_our_own_names(name, randomise):
    model, other = net(name), randomise(net(name))
    report = load_weights(model, other.state_dict())
    assert unchanged(model, snapshot(other))
    assert (report.layout, report.left, report.unused, report.notes) == ("plain", (), (), ())
    assert report.loaded == len(other.state_dict())


def test_batch_norm_counters_may_be_missing(randomise):
    model, other = net(), randomise(net())
    old = {name: tensor for name, tensor in other.state_dict().items() if "num_batches" not in name}
    report = load_weights(model, old)
    assert report.loaded == len(old)
    assert report.notes == ()


def test_half_precision_and_device_memory_stay(randomise):
    model, other = net(), randomise(net())
    weight = model.conv1[0].weight
    load_weights(model, {name: tensor.half() for name, tensor in other.state_dict().items()})
    assert model.conv1[0].weight is weight  # copied in place, so that an optimizer still sees it
    assert weight.dtype == torch.float32
    assert torch.equal(weight, other.conv1[0].weight.half().float())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("stage3.1.branch2.0.weight"), r"stage3.1.branch2.0.weight is missing, needed \(48, 48, 1, 1\)$"),
        (lambda s: s.update(extra=torch.zeros(2)), r"extra \(2,\) has no place$"),
        (lambda s: s.update({"fc.bias": torch.zeros(7)}), r"fc.bias is \(7,\), needed \(10,\)$"),
        (lambda s: [s.pop(n) for n in list(s) if n.startswith("stage4")], "; and .* more$"),
        (lambda s: s.pop("fc.weight"), "fc.weight is missing"),
    ],
    ids=["missing", "extra", "shape", "a stage missing", "half a head"],
)
def test_what_does_not_fit_leaves_the_network_as_it_was(change, message, randomise):
    model, state = net(), dict(randomise(net()).state_dict())
    before = snapshot(model)
    change(state)
    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(model, state)
    assert "\n" not in str(caught.value)
    assert unchanged(model, before)


def test_another_network_s_file_leaves_the_network_as_it_was():
    origin = net("shufflenet_v2_x1_0")
    model = net("shufflenet_v2_x0_5")
    before = snapshot(model)
    with pytest.raises(WeightsError, match=r"conv1|stage2.0.branch1.2.weight is \(58, 24, 1, 1\), needed \(24, 24, 1, 1\)"):
        load_weights(model, origin.state_dict())
    assert unchanged(model, before)


def test_an_option_is_not_set_where_the_file_does_not_fit(randomise):
    model = net("shufflenet_v2_x0_5")
    before, options = snapshot(model), dict(model.options)
    state = {  # recognised as pytorchcv's V2b, but cut short
        "features.stage1.unit1.shortcut_dconv.conv.weight": torch.zeros(24, 1, 3, 3),
        "features.init_block.conv.conv.weight": torch.zeros(24, 3, 3, 3),
        "features.final_block.conv.weight": torch.zeros(1553, 192, 1, 1),
    }
    with pytest.raises(WeightsError, match="pytorchcv ShuffleNet V2 layout"):
        load_weights(model, state)
    assert unchanged(model, before)
    assert model.options == options
    assert model.unit_split == "even"


def test_an_unknown_layout_names_both_sides():
    with pytest.raises(
        WeightsError, match=r"state dict: no layout that is known: it has encoder.0.w, ...; shufflenet_v2_x0_5 has"
    ):
        load_weights(net(), {"encoder.0.w": torch.zeros(1)})


def test_a_damaged_file_of_a_known_layout():
    with pytest.raises(WeightsError, match=r"megvii ShuffleNet V1 layout.*first_conv.0.weight' is missing"):
        load_weights(net("shufflenet_v1_g3_x0_5"), {"features.0.branch_main_1.0.weight": torch.zeros(30, 12, 1, 1)})


def test_a_backbone_leaves_the_head_and_says_so(randomise):
    model, other = net(), randomise(net())
    before = snapshot(model)
    state = {name: tensor for name, tensor in other.state_dict().items() if name.split(".")[0] not in ("conv5", "fc")}
    report = load_weights(model, state)
    assert {name.split(".")[0] for name in report.left} == {"conv5", "fc"}
    assert report.notes == ("8 tensors are not in the file and were left as they were: conv5, fc",)
    assert torch.equal(model.fc.weight, before["fc.weight"])
    assert torch.equal(model.stage4[3].branch2[5].weight, other.stage4[3].branch2[5].weight)


def test_the_backbone_inside_a_detector(randomise):
    other = randomise(net(features_only=True))
    state = {f"backbone.{name}": tensor for name, tensor in other.state_dict().items()} | {"head.0.weight": torch.zeros(3)}
    report = load_weights(net(features_only=True), state)
    assert report.notes == ("took the 330 tensors under 'backbone.', left out 1 others",)


@pytest.mark.parametrize("form", [{"features_only": True}, {"features_only": True, "out_indices": (2,)}, {"num_classes": 0}])
def test_what_lies_beyond_a_cut_network_is_not_used(form, randomise):
    other = randomise(net())
    model = net(**form)
    report = load_weights(model, other.state_dict())
    assert unchanged(model, {name: other.state_dict()[name] for name in model.state_dict()})
    assert "fc.bias" in report.unused
    assert report.left == ()
    with pytest.raises(WeightsError, match=r"stage2.9.x \(1,\) has no place"):
        load_weights(model, {**other.state_dict(), "stage2.9.x": torch.zeros(1)})


def test_transfer(randomise):
    other = randomise(net())
    model = net(num_classes=3, in_chans=1)
    with pytest.raises(WeightsError, match=r"conv1.0.weight is \(24, 3, 3, 3\), needed \(24, 1, 3, 3\)"):
        load_weights(model, other.state_dict())
    before = snapshot(model)
    report = load_weights(model, other.state_dict(), transfer=True)
    assert report.left == ("fc.weight", "fc.bias")
    assert torch.equal(model.fc.weight, before["fc.weight"])
    assert torch.equal(model.conv5[0].weight, other.conv5[0].weight)
    grey = torch.rand(1, 1, 32, 32)
    with torch.no_grad():  # a grey image as three equal channels
        torch.testing.assert_close(model.conv1[0](grey), other.conv1[0](grey.expand(-1, 3, -1, -1)), atol=1e-5, rtol=1e-4)


def test_a_stem_repeated_keeps_its_scale():
    weight = torch.rand(2, 3, 3, 3)
    x = torch.rand(1, 3, 8, 8)
    once, twice = (torch.nn.functional.conv2d(v, stem_for(weight, v.shape[1])) for v in (x, torch.cat((x, x), 1)))
    torch.testing.assert_close(once, twice)


def test_a_rebuilt_network_keeps_what_was_set_on_it(randomise):
    """A file that needs another option replaces the layers, but not the mode, the frozen weights or the hooks."""
    origin = randomise(build_model("shufflenet_v2_x0_5", num_classes=10, pool_ceil_mode=True))
    renamed = {name.replace("conv1.0.", "features.init_block.conv.conv."): t for name, t in origin.state_dict().items()}
    model = net().eval()
    model.stage4.train()[1].eval()
    modes = {name: module.training for name, module in model.named_modules()}
    model.conv1.requires_grad_(False)
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    state = pytorchcv_names(renamed)
    report = load_weights(model, state)
    assert report.options == {"pool_ceil_mode": True}
    assert "pool_ceil_mode: set to True, which the file needs" in report.notes
    assert modes == {name: module.training for name, module in model.named_modules()}
    assert set(modes.values()) == {True, False}
    assert not model.conv1[0].weight.requires_grad
    assert model.fc.weight.requires_grad
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), origin(x))
    assert calls == [1]


def test_a_rebuilt_network_that_cannot_be_filled_is_as_it_was(randomise, monkeypatch):
    origin = randomise(build_model("shufflenet_v2_x0_5", num_classes=10, pool_ceil_mode=True))
    renamed = {name.replace("conv1.0.", "features.init_block.conv.conv."): t for name, t in origin.state_dict().items()}
    model = net()
    before, options, parts = snapshot(model), dict(model.options), list(model.modules())
    monkeypatch.setattr(torch.Tensor, "copy_", lambda *arguments: (_ for _ in ()).throw(RuntimeError("no memory")))
    with pytest.raises(RuntimeError, match="no memory"):
        load_weights(model, pytorchcv_names(renamed))
    monkeypatch.undo()
    assert unchanged(model, before)
    assert (model.options, list(model.modules())) == (options, parts)


def test_sizes_that_only_a_file_claims_take_no_memory():
    """The layout takes the width of the last convolution from the file."""
    wide = torch.zeros(1).expand(1 << 16, 192, 1, 1)
    state = {name: tensor for name, tensor in pytorchcv_names(net().state_dict()).items() if "conv5" not in name}
    state["features.init_block.conv.conv.weight"] = torch.zeros(24, 3, 3, 3)
    with pytest.raises(WeightsError, match="does not fit"):
        load_weights(net(), {**state, "features.final_block.conv.weight": wide.expand(1 << 16, 192, 1, 1)})
    with pytest.raises(WeightsError, match="it is many times as large"):
        load_weights(net(), {**state, "features.final_block.conv.weight": torch.zeros(1).expand(1 << 30, 192, 1, 1)})


def test_values_that_are_not_finite_are_said(randomise):
    state = randomise(net()).state_dict()
    state["fc.bias"][0] = float("inf")
    assert load_weights(net(), state).notes == ("1 tensors have values that are not finite: fc",)


def test_a_head_that_the_file_lacks_is_said_by_create_model(randomise, tmp_path, caplog):
    """Its classes would be random, without a word."""
    state = {
        name: tensor for name, tensor in randomise(net()).state_dict().items() if name.split(".")[0] not in ("conv5", "fc")
    }
    torch.save(state, tmp_path / "w.pth")
    create_model("shufflenet_v2_x0_5", tmp_path / "w.pth", num_classes=10)
    assert caplog.messages == [
        f"{tmp_path / 'w.pth'}: 8 tensors stay random, which are not in the file or do not fit: conv5, fc"
    ]


def pytorchcv_names(state):
    """Our V2 names as pytorchcv's."""
    parts = {"branch2.0": "compress_conv1", "branch2.1": "compress_bn1", "branch2.3": "dw_conv2", "branch2.4": "dw_bn2"}
    parts |= {"branch2.5": "expand_conv3", "branch2.6": "expand_bn3", "branch1.0": "dw_conv4", "branch1.1": "dw_bn4"}
    parts |= {"branch1.2": "expand_conv5", "branch1.3": "expand_bn5"}
    renamed = {}
    for name, tensor in state.items():
        words = name.split(".")
        if words[0].startswith("stage"):
            name = f"features.stage{int(words[0][5:]) - 1}.unit{int(words[1]) + 1}.{parts['.'.join(words[2:4])]}.{words[4]}"
        for ours, theirs in (("conv1.1.", "features.init_block.conv.bn."), ("fc.", "output.")):
            name = name.replace(ours, theirs) if name.startswith(ours) else name
        name = name.replace("conv5.0.", "features.final_block.conv.").replace("conv5.1.", "features.final_block.bn.")
        renamed[name] = tensor
    return renamed
