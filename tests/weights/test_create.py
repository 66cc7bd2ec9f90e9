import ntpath
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from shufflekit import files
from shufflekit.errors import UsageError, WeightsError
from shufflekit.models import FeatureNet
from shufflekit.models.shufflenet_v2 import ShuffleNetV2
from shufflekit.weights import create_model, resolve_model


def test_random_weights_and_their_defaults():
    model = create_model("shufflenet_v2_x0_5")
    assert (model.num_classes, model.in_chans) == (1000, 3)
    assert model.pretrained_cfg["input_size"] == (3, 224, 224)
    assert model.pretrained_cfg["url"] is None
    grey = create_model("shufflenet_v2_x0_5", num_classes=10, in_chans=1, small_input=True)
    assert grey.fc.out_features == 10
    assert grey.pretrained_cfg["input_size"] == (1, 32, 32)
    assert grey.options == {"num_classes": 10, "in_chans": 1, "small_input": True}
    maps = create_model("shufflenet_v2_x0_5", features_only=True, out_indices=(2, 4))
    assert isinstance(maps, FeatureNet)
    assert maps.feature_info.channels() == [48, 192]
    assert maps.pretrained_cfg["channel_order"] == "rgb"


def test_a_file_of_weights(tmp_path, randomise):
    origin = randomise(create_model("shufflenet_v2_x0_5", num_classes=10))
    torch.save(origin.state_dict(), tmp_path / "w.pth")
    model = create_model("shufflenet_v2_x0_5", str(tmp_path / "w.pth"), num_classes=10)
    assert torch.equal(model.fc.weight, origin.fc.weight)
    with pytest.raises(WeightsError, match=r"fc.weight is \(10, 1024\), needed \(1000, 1024\)"):
        create_model("shufflenet_v2_x0_5", tmp_path / "w.pth")
    assert create_model("shufflenet_v2_x0_5", tmp_path / "w.pth", num_classes=3).fc.out_features == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: create_model("shufflenet_v2_x9"), "no network is named 'shufflenet_v2_x9'"),
        (lambda: create_model("shufflenet_v2_x1_0", "coco"), "shufflenet_v2_x1_0 has imagenet.torchvision, .*, found 'coco'"),
        (lambda: create_model("shufflenet_v2_plus_small", True), "has no published weights"),
        (lambda: create_model("shufflenet_v2_x1_0", colour=1), "takes no option 'colour'"),
        (lambda: create_model("shufflenet_v2_x1_0", num_classes=-1), "num_classes: must be 0 or more, found -1"),
    ],
)
def test_wrong_usage(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def tiny() -> nn.Module:
    return nn.Linear(2, 3)


def test_resolve_model(tmp_path, monkeypatch):
    assert isinstance(resolve_model("shufflenet_v2_x0_5"), ShuffleNetV2)
    (tmp_path / "mine.py").write_text(
        "import torch\ndef net():\n    return torch.nn.Linear(2, 3)\nready = net()\nfive = lambda: 5\n"
    )
    monkeypatch.chdir(tmp_path)
    assert resolve_model("mine:net").out_features == 3
    assert resolve_model("mine:ready").in_features == 2
    for text, message in {
        "mine:none": "mine:none: cannot be imported: AttributeError: module 'mine' has no attribute 'none'",
        "nowhere:net": "cannot be imported: ModuleNotFoundError: No module named 'nowhere'",
        "mine:five": "must give a torch.nn.Module, found a int",
        "torch.nn:Linear": "torch.nn:Linear: calling it failed: TypeError: .*missing 2 required",
        "shufflenet_v9": "no network is named",
    }.items():
        with pytest.raises(UsageError, match=message):
            resolve_model(text)
    for text in ("./mine:net", ":net", "mine:", "a b:net"):
        with pytest.raises(UsageError, match="must be package.module:callable, as in mypackage.networks:small"):
            resolve_model(text)
    with pytest.raises(WeightsError, match="nothing: no saved network: config.json is missing"):
        resolve_model("./nothing")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def net(: pass", "cannot be imported: SyntaxError: "),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("assert False", "cannot be imported: AssertionError$"),
        ("def net(): raise KeyError()", "calling it failed: KeyError$"),
        ("def net(): raise SystemExit", "calling it failed: SystemExit"),
        ("net = {}", "calling it failed: TypeError: 'dict' object is not callable"),
    ],
)
def test_whatever_somebody_elses_code_raises_is_one_line(
    code: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    before = list(sys.path)
    with pytest.raises(UsageError, match=f"^theirs:net: {message}"):
        resolve_model("theirs:net")
    assert sys.path == before


def test_a_callable_may_import_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maker.py").write_text("def net():\n    import layer_of_maker\n    return layer_of_maker.layer")
    (tmp_path / "layer_of_maker.py").write_text("import torch\nlayer = torch.nn.Linear(2, 3)")
    monkeypatch.chdir(tmp_path)
    assert resolve_model("maker:net").out_features == 3


def test_a_drive_of_windows_is_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "os", SimpleNamespace(sep="\\", path=ntpath))
    with pytest.raises(WeightsError, match=r"^C:\\nets\\small: no saved network: config\.json is missing$"):
        resolve_model(r"C:\nets\small")
