import json

import pytest
import torch

from shufflekit.errors import InputError, UsageError, WeightsError
from shufflekit.models import Network, _saved, build_model
from shufflekit.models.shufflenet_v1 import ShuffleNetV1
from shufflekit.models.shufflenet_v2 import ShuffleNetV2
from shufflekit.weights import create_model, from_pretrained, load_weights, save_pretrained
from shufflekit.weights.create import resolve_model


def net(**options):
    return build_model("shufflenet_v2_x0_5", num_classes=10, small_input=True, **options)


def test_round_trip(tmp_path, randomise):
    model = randomise(net(unit_split="release"))
    model.pretrained_cfg = {"mean": (0.1, 0.2, 0.3), "license": "MIT", "num_classes": 10, "top1_error": 9.5}
    save_pretrained(model, tmp_path / "net")
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    for loaded in (from_pretrained(tmp_path / "net"), Network.from_pretrained(str(tmp_path / "net"))):
        assert type(loaded) is ShuffleNetV2
        assert loaded.options == model.options
        assert loaded.pretrained_cfg == model.pretrained_cfg
        assert not loaded.training
        x = torch.rand(1, 3, 32, 32)
        with torch.no_grad():
            assert torch.equal(loaded(x), model(x))


def test_half(tmp_path, randomise):
    model = randomise(net())
    model.fc.weight.data[0, 0] = 1e6  # beyond float16
    save_pretrained(model, tmp_path / "half", half=True)
    save_pretrained(model, tmp_path / "full")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.65 * sizes[1]
    loaded = from_pretrained(tmp_path / "half")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.fc.weight, model.fc.weight)
    assert torch.equal(loaded.conv1[0].weight, model.conv1[0].weight.half().float())
    assert torch.equal(loaded.conv1[1].running_var, model.conv1[1].running_var)


def test_a_new_classifier_is_remembered_and_old_facts_are_not(tmp_path):
    model = net()
    model.pretrained_cfg = {"num_classes": 10, "classes": "cifar10", "top1_error": 9.5, "license": "MIT"}
    model.reset_classifier(3)
    save_pretrained(model, tmp_path)
    loaded = from_pretrained(tmp_path)
    assert loaded.num_classes == loaded.fc.out_features == 3
    assert loaded.pretrained_cfg == {"num_classes": 3, "classes": None, "top1_error": None, "license": "MIT"}


def test_saving_again_replaces_and_keeps_the_card(tmp_path, randomise):
    save_pretrained(net(), tmp_path)
    (tmp_path / "README.md").write_text("mine")
    model = randomise(net())
    save_pretrained(model, tmp_path)
    assert torch.equal(from_pretrained(tmp_path).fc.weight, model.fc.weight)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_failed_save_leaves_the_old_one(tmp_path, monkeypatch):
    model = net()
    save_pretrained(model, tmp_path)

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be written: No space left on device"):
        save_pretrained(net(), tmp_path)
    monkeypatch.undo()
    assert torch.equal(from_pretrained(tmp_path).fc.weight, model.fc.weight)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_only_networks_of_the_registry(tmp_path):
    model = ShuffleNetV2((24,), (48, 96, 192), (4, 8, 4), 1024)
    with pytest.raises(UsageError, match="no network is named 'ShuffleNetV2'"):
        save_pretrained(model, tmp_path)


def test_a_saved_network_by_its_folder(tmp_path, randomise):
    model = randomise(net())
    save_pretrained(model, tmp_path)
    same = create_model(tmp_path)
    assert torch.equal(same.fc.weight, model.fc.weight)
    assert torch.equal(resolve_model(str(tmp_path)).fc.weight, model.fc.weight)
    other = create_model(tmp_path, num_classes=3, in_chans=1)
    assert other.fc.out_features == 3
    assert torch.equal(other.conv5[0].weight, model.conv5[0].weight)
    maps = create_model(tmp_path, features_only=True, out_indices=(4,))
    assert torch.equal(maps.stage4[0].branch2[0].weight, model.stage4[0].branch2[0].weight)
    with pytest.raises(UsageError, match="is a saved network and brings its weights, found 'imagenet'"):
        create_model(tmp_path, "imagenet")


def break_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "no saved network: config.json is missing"),
        (lambda f: (f / "model.safetensors").unlink(), "no saved network: model.safetensors is missing"),
        (lambda f: (f / "config.json").write_text("{"), "not the configuration of a saved network"),
        (lambda f: (f / "config.json").write_text("[]"), "not the configuration of a saved network"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "damaged"),
        (lambda f: (f / "model.safetensors").write_bytes(b"12345678"), "damaged"),
        (lambda f: break_config(f, options={"num_classes": 5}), r"fc.weight is \(10, 1024\), needed \(5, 1024\)"),
        (lambda f: break_config(f, architecture="shufflenet_v9"), "no network is named 'shufflenet_v9'"),
        (lambda f: break_config(f, options={"colour": 1}), "takes no option 'colour'"),
    ],
)
def test_damaged_folders(damage, message, tmp_path):
    save_pretrained(net(), tmp_path)
    damage(tmp_path)
    with pytest.raises((WeightsError, UsageError), match=message) as caught:
        from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_such_folder(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="no saved network: config.json is missing"):
        from_pretrained(tmp_path / "none")
    with pytest.raises(WeightsError, match="owner/none: no folder, and config.json cannot be had from the hub: "):
        from_pretrained("owner/none", local_files_only=True, cache_dir=tmp_path)


def test_a_repository_on_the_hub(tmp_path, monkeypatch, randomise):
    model = randomise(net())
    save_pretrained(model, tmp_path)
    monkeypatch.setattr("shufflekit.models._saved.hf_hub_download", lambda repo, name: {"me/net": tmp_path}[repo] / name)
    assert torch.equal(create_model("hf-hub:me/net").fc.weight, model.fc.weight)
    assert torch.equal(resolve_model("hf-hub:me/net").fc.weight, model.fc.weight)


def test_another_class(tmp_path):
    save_pretrained(net(), tmp_path)
    with pytest.raises(WeightsError, match="holds a shufflenet_v2_x0_5, not a ShuffleNetV1"):
        ShuffleNetV1.from_pretrained(tmp_path)


@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_full_disk_leaves_the_old_network_whole(step, tmp_path, monkeypatch):
    save_pretrained(net(), tmp_path)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace" if step == "replace" else "os.fsync", full)
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be written: No space left on device"):
        save_pretrained(build_model("shufflenet_v2_x0_5", num_classes=3), tmp_path)
    monkeypatch.undo()
    assert from_pretrained(tmp_path).num_classes == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(InputError, match=r"file.*: cannot be written: (File exists|Not a directory)"):
            save_pretrained(net(), folder)
    assert (tmp_path / "file").read_text() == ""


def test_what_cannot_be_saved_is_said(tmp_path):
    model = net()
    model.pretrained_cfg = {"mean": {1, 2}}
    with pytest.raises(InputError, match="options and pretrained_cfg must be JSON: Object of type set"):
        save_pretrained(model, tmp_path)
    with pytest.raises(InputError, match="cannot be saved: conv1.0.weight is on the meta device, without values"):
        save_pretrained(net().to("meta"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_network_with_tied_parameters(tmp_path):
    model = net()
    model.stage2[1].branch2[0].weight = model.stage2[2].branch2[0].weight
    save_pretrained(model, tmp_path)
    assert torch.equal(from_pretrained(tmp_path).stage2[1].branch2[0].weight, model.stage2[2].branch2[0].weight)


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    model = net()
    save_pretrained(model, "~/net")
    assert (tmp_path / "net" / "config.json").is_file()
    for same in (from_pretrained("~/net"), create_model("~/net")):
        assert torch.equal(same.fc.weight, model.fc.weight)


def test_the_hub_s_prefix_and_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr("shufflekit.models._saved.hf_hub_download", lambda repo, name, **hub: {"me/net": tmp_path}[repo] / name)
    model = net()
    save_pretrained(model, tmp_path)
    for name in ("hf-hub:me/net", "me/net"):
        assert torch.equal(from_pretrained(name).fc.weight, model.fc.weight)
        assert torch.equal(Network.from_pretrained(name).fc.weight, model.fc.weight)
    monkeypatch.undo()
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")  # nothing is asked
    asked = []
    get = _saved.hf_hub_download
    monkeypatch.setattr(_saved, "hf_hub_download", lambda *names, **hub: asked.append(hub) or get(*names, **hub))
    for name in ("hf-hub:me/none", "hf-hub:none", "hf-hub:", "hf-hub:a/b/c", "hf-hub:a b/c", "me/none"):
        for load in (from_pretrained, create_model) if ":" in name else (from_pretrained,):
            with pytest.raises(WeightsError, match="config.json cannot be had from the hub: ") as caught:
                load(name)
            assert "\n" not in str(caught.value)
            assert name in str(caught.value)
    assert asked == [{"local_files_only": True}] * 11


@pytest.mark.parametrize("content", ["checkpoint", "old checkpoint", "zip", "pickle"])
def test_something_else_named_model_safetensors(content, tmp_path):
    save_pretrained(net(), tmp_path)
    path = tmp_path / "model.safetensors"
    if content == "zip":
        path.write_bytes(b"PK\x05\x06" + bytes(18))
    elif content == "pickle":
        path.write_bytes(b"\x80\x04K\x01.")
    else:
        torch.save(net().state_dict(), path, _use_new_zipfile_serialization=content == "checkpoint")
    for load in (from_pretrained, create_model):
        with pytest.raises(WeightsError, match="model.safetensors: damaged, or no safetensors file: ") as caught:
            load(tmp_path)
        assert str(caught.value).isprintable()


def test_a_folder_of_a_training_that_is_not_done(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    torch.save({"place": 1, "model": net().state_dict(), "average": None}, tmp_path / "checkpoints" / "last.pt")
    for load in (from_pretrained, create_model, lambda folder: load_weights(net(), folder)):
        with pytest.raises(WeightsError, match=r"is missing; its training is not done, .*last.pt is a file of weights"):
            load(tmp_path)
    assert load_weights(net(), tmp_path / "checkpoints" / "last.pt").notes == ()
    save_pretrained(net(), tmp_path / "best")
    with pytest.raises(WeightsError, match=r"its training is not done, .*best has its best epoch"):
        from_pretrained(tmp_path)
