import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from shufflekit.errors import WeightsError
from shufflekit.weights.read import read_state

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


def same(state):
    return state.keys() == TENSORS.keys() and all(torch.equal(state[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize(
    "wrapped",
    [
        TENSORS,
        {"state_dict": TENSORS, "epoch": 3},
        {"model": TENSORS},
        {"state_dict": {f"module.{name}": tensor for name, tensor in TENSORS.items()}},
        {f"module._orig_mod.{name}": tensor for name, tensor in TENSORS.items()},
    ],
    ids=["plain", "state_dict", "model", "data parallel", "compiled"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["new", "old"])
def test_checkpoints(wrapped, zipped, tmp_path):
    torch.save(wrapped, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    assert same(read_state(tmp_path / "w.pth"))


def test_safetensors_and_a_saved_folder(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    assert same(read_state(tmp_path / "model.safetensors"))
    assert same(read_state(tmp_path))


def test_a_zip_with_a_checkpoint_inside(tmp_path):
    torch.save(TENSORS, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth.zip", "w") as archive:
        archive.write(tmp_path / "w.pth", "w.pth")
    assert same(read_state(tmp_path / "w.pth.zip"))


class Code:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return print, ("must not be printed",)


def bad_files(folder):
    torch.save(TENSORS, folder / "good.pth")
    save_file(TENSORS, folder / "good.safetensors")
    good, safe = (folder / "good.pth").read_bytes(), (folder / "good.safetensors").read_bytes()
    old = folder / "old.pth"
    torch.save(TENSORS, old, _use_new_zipfile_serialization=False)
    yield "empty", b"", "an empty file"
    yield "text", b"not weights at all", "damaged"
    yield "truncated checkpoint", good[: len(good) // 2], "damaged"
    yield "truncated old checkpoint", old.read_bytes()[:300], "damaged|refused: it needs collections"
    yield "truncated safetensors", safe[:-4], "damaged"
    yield "one byte", b"\x80", "damaged"
    yield "other zip", b"PK\x05\x06" + bytes(18), "damaged"
    yield "code", pickle.dumps(Code(), protocol=2), "refused: it needs print, and loading more than tensors could run code"
    torch.save({"state_dict": TENSORS, "args": Code()}, folder / "code.pth")
    yield "code in a checkpoint", (folder / "code.pth").read_bytes(), "refused: it needs print"
    torch.save([1, 2, 3], folder / "list.pth")
    yield "no tensors", (folder / "list.pth").read_bytes(), "holds no tensors by name, found a list"


def test_bad_files_get_one_line(tmp_path, capsys):
    for name, content, message in bad_files(tmp_path):
        path = tmp_path / "bad"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=message) as caught:
            read_state(path)
        assert "\n" not in str(caught.value), name
        assert str(path) in str(caught.value), name
    assert capsys.readouterr().out == ""


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match=r"no\.pth: cannot be read: No such file"):
        read_state(tmp_path / "no.pth")
