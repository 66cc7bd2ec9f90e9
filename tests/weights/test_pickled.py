"""Checkpoints of every form that torch.save writes, with what people put beside their weights."""

import argparse
import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import pathlib
import re
import types
import uuid
import zipfile

import numpy as np
import pytest
import torch

from shufflekit.errors import WeightsError
from shufflekit.weights import pickled
from shufflekit.weights.read import read_state

VIEWS = torch.arange(24.0)
DTYPES = [
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "uint16",
    "float8_e5m2",
]


def saved(value, folder, **how):
    torch.save(value, folder / "net.pth", **how)
    return folder / "net.pth"


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_of_every_type(dtype, new, tmp_path):
    values = torch.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(torch, dtype))
    found = read_state(saved({"a": values}, tmp_path, _use_new_zipfile_serialization=new))["a"]
    assert found.dtype == values.dtype
    assert torch.equal(found.view(torch.uint8), values.view(torch.uint8))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("new", [True, False])
def test_views_and_shapes(new, protocol, tmp_path):
    state = {
        "transposed": VIEWS.view(4, 6).t(),
        "part": VIEWS[3:9],
        "steps": VIEWS[::5],
        "shared": VIEWS,
        "expanded": torch.ones(1).expand(3, 2),
        "channels_last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.rand(2)),
    }
    found = read_state(saved(state, tmp_path, _use_new_zipfile_serialization=new, pickle_protocol=protocol))
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].stride() == tensor.stride(), name


class Scheduler:
    def __init__(self):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)
        self.state = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10).state_dict()


EXTRAS = {
    "Namespace": argparse.Namespace(lr=0.1, out=pathlib.Path("a"), when=dt.date(2026, 1, 1)),
    "SimpleNamespace": types.SimpleNamespace(a=1),
    "numpy numbers": [np.float64(91.2), np.int32(3), np.bool_(True), np.str_("a")],
    "numpy arrays": [np.ones(3), np.array(["a"]), np.array([None, 1], dtype=object), np.zeros((2, 2), order="F")],
    "numpy's generators": [np.random.default_rng(0), np.random.RandomState(0), np.random.get_state()],
    "paths": [pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("b"), pathlib.Path("c")],
    "dates": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.timedelta(1), dt.date(2026, 1, 1)],
    "dicts": [collections.defaultdict(list, a=[1]), collections.OrderedDict(a=1), collections.Counter("aab")],
    "containers": [
        collections.deque([1, 2]),
        {1, 2},
        frozenset([3]),
        (4,),
        slice(1),
        range(3),
        complex(1, 2),
        b"a",
        bytearray(b"b"),
    ],
    "numbers": [decimal.Decimal("1.5"), fractions.Fraction(1, 3), 1 << 80, float("nan"), uuid.UUID(int=3)],
    "torch's": [torch.Size([1, 2]), torch.float16, torch.device("cpu"), torch.get_rng_state()],
    "others": [functools.partial(int, "3"), re.compile("a"), type(None), enum.IntFlag, Ellipsis, NotImplemented],
    "an optimizer": torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))]).state_dict(),
    "an optimizer object": torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1),
    "a schedule": Scheduler().state,
    "a scaler": torch.amp.GradScaler("cpu").state_dict(),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_what_people_put_beside_their_weights(name, tmp_path):
    for protocol in (2, 4):
        for new in (True, False):
            value = {"model": {"a": VIEWS}, "extra": EXTRAS[name], "epoch": 3}
            path = saved(value, tmp_path, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
            assert torch.equal(read_state(path)["a"], VIEWS)


def test_numbers_as_keys_and_words_of_python_2(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"state_dict": collections.OrderedDict([("a", VIEWS)]), 1: 2, None: 3, (1, 2): 4, "ä": 5}, path)
    assert list(read_state(path)) == ["a"]


def test_a_bit_that_flips_in_a_zip_is_noticed(tmp_path):
    content = bytearray(saved({"a": VIEWS}, tmp_path).read_bytes())
    content[content.index(VIEWS.numpy().tobytes()) + 9] ^= 4
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(WeightsError, match="damaged, or no checkpoint: Bad CRC-32"):
        read_state(tmp_path / "net.pth")


def test_other_names_of_files_in_a_zip(tmp_path):
    content = saved({"a": VIEWS}, tmp_path).read_bytes()
    for member in ("x/net.PT", "net.pth.tar", "pytorch_model.bin"):
        with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
            archive.writestr(member, content)
            archive.writestr("__MACOSX/net.pth", b"")
            archive.writestr("readme.txt", b"")
        assert torch.equal(read_state(tmp_path / "net.zip")["a"], VIEWS)


def test_only_what_is_wanted_is_read(tmp_path, monkeypatch):
    """An optimizer's state is twice as large as the weights, and stays in the file."""
    reads = []
    tensor = pickled.Checkpoint.tensor
    monkeypatch.setattr(pickled.Checkpoint, "tensor", lambda self, record: reads.append(record) or tensor(self, record))
    read_state(saved({"model": {"a": VIEWS}, "optimizer": {"state": {"b": torch.ones(99)}, "param_groups": []}}, tmp_path))
    assert len(reads) == 1


@pytest.mark.parametrize("key", [b"N" + b"\x85" * 200_000, b"K\x07", b"ctorch\nfloat32\n"], ids=["deep", "number", "type"])
def test_only_words_are_names(key, tmp_path):
    """The hash of a deep tuple ends the process, and numbers can be made to collide."""
    (tmp_path / "net.pth").write_bytes(b"\x80\x02}" + key + b"Ns.")
    with pytest.raises(WeightsError, match="holds no tensors by name, found a dict with nothing"):
        read_state(tmp_path / "net.pth")
