"""Files of weights that nobody should trust: payloads, damage, lies about sizes, and odd tensors, all from one seed."""

from __future__ import annotations

import argparse
import builtins
import functools
import importlib
import io
import json
import operator
import os
import pickle
import pickletools
import random
import runpy
import shutil
import struct
import subprocess
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Hostile:
    """One file; `must_fail` is False where the damage may have hit nothing but a value; `says` is part of the message."""

    name: str
    suffix: str
    content: bytes
    must_fail: bool = True
    says: str = ""


class Payload:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def payloads(marker: Path) -> dict[str, Payload]:
    """Ways to make a file at `marker`, each through another function."""
    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        "os.system": Payload(os.system, touch),
        "eval": Payload(eval, code),
        "exec": Payload(exec, code),
        "touch": Payload(Path.touch, marker),
        "subprocess": Payload(subprocess.call, touch.split()),
        "popen": Payload(subprocess.Popen, touch.split()),
        "copy": Payload(shutil.copy, __file__, str(marker)),
        "import": Payload(importlib.import_module, "antigravity"),
        "__import__": Payload(builtins.__import__, "this"),
        "runpy": Payload(runpy.run_path, str(marker.with_suffix(".py"))),
        "getattr": Payload(getattr, os, "system"),
        "attrgetter": Payload(operator.attrgetter("system"), os),
        "partial": Payload(functools.partial(os.system, touch)),
        "map": Payload(list, map(os.system, [touch])),
        "numpy.fromfile": Payload(np.ndarray.tofile, np.ones(1), str(marker)),
        "torch.save": Payload(torch.save, 1, str(marker)),
        "torch.load": Payload(torch.load, str(marker.with_suffix(".py"))),
        "torch.hub": Payload(torch.hub.load, "a/b", "c"),
        "nested": Payload(pickle.loads, pickle.dumps(Payload(os.system, touch))),
        "setstate": Payload(argparse.Namespace.__setattr__, argparse.Namespace(), "a", Payload(os.system, touch)),
    }


def torch_bytes(value: Any, new: bool = True, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=new, pickle_protocol=protocol)
    return buffer.getvalue()


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def good_files(state: State) -> dict[str, bytes]:
    """The same weights in every way in which they are read."""
    return {
        ".pth": torch_bytes(state),
        ".pt": torch_bytes({"model": state, "epoch": 3}, new=False),
        ".safetensors": save(state),
        ".pth.zip": zipped({"net.pth": torch_bytes(state)}, zipfile.ZIP_DEFLATED),
    }


def hostile_files(state: State, marker: Path, seed: int, damaged: int) -> Iterator[Hostile]:
    """All kinds; `damaged` is how many files are cut off or have wrong bits."""
    few = dict(list(state.items())[:6])  # enough where all of a file is refused
    for file in _with_payloads(few, marker):
        yield replace(file, says="could run code")
    yield from _damaged(state, random.Random(seed), damaged)
    yield from _odd_tensors(state)
    yield from _safetensors_lies()
    yield from _zips(few)
    yield from _programs()


def _with_payloads(state: State, marker: Path) -> Iterator[Hostile]:
    for name, payload in payloads(marker).items():
        for protocol in range(6):
            try:
                bare = pickle.dumps({"state_dict": None, "args": payload}, protocol=protocol)
            except (TypeError, pickle.PicklingError):  # some objects need a later protocol
                continue
            yield Hostile(f"{name}, protocol {protocol}", ".pkl", bare)
            if protocol in (0, 4):
                yield Hostile(f"{name}, protocol {protocol}, renamed", ".safetensors", bare)
        for place, value in {
            "beside": {"state_dict": state, "args": payload},
            "inside": {**state, "extra": payload},
            "in a list": {"model": state, "hooks": [[payload]]},
        }.items():
            try:
                yield Hostile(f"{name} {place}, zip", ".pth", torch_bytes(value))
                yield Hostile(f"{name} {place}, protocol 5", ".pt", torch_bytes(value, protocol=5))
                yield Hostile(f"{name} {place}, old", ".safetensors", torch_bytes(value, new=False))
                yield Hostile(f"{name} {place}, in a zip", ".zip", zipped({"a.pth": torch_bytes(value)}))
            except (TypeError, pickle.PicklingError):
                continue
    system = b"cposix\nsystem\n"
    touch = f"(S'touch {marker}'\ntR.".encode()
    yield Hostile("a hand-written program", ".pth", system + touch)
    yield Hostile("INST", ".pth", f"(S'touch {marker}'\niposix\nsystem\n.".encode())
    yield Hostile("OBJ", ".pth", b"\x80\x02(" + system + b"X\1\0\0\0ao.")
    yield Hostile("STACK_GLOBAL", ".pth", b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.")
    yield Hostile("an extension", ".pth", b"\x80\x02\x82\x01)R.")
    yield Hostile("a name of two lines", ".pth", b"\x80\x04\x8c\x05po\nix\x8c\x06sys\nem\x93)R.")


def _damaged(state: State, chance: random.Random, count: int) -> Iterator[Hostile]:
    files = list(good_files(state).items())
    for number in range(count):
        suffix, content = chance.choice(files)
        renamed = chance.choice([suffix, suffix, ".safetensors", ".pth", ".bin", ".tar"])
        if chance.random() < 0.4:
            end = chance.randrange(len(content)) if chance.random() < 0.7 else chance.randrange(200)
            yield Hostile(f"{number}: {suffix} cut off at {end}", renamed, content[:end])
            continue
        changed = bytearray(content)
        near = chance.random() < 0.7  # where names and sizes are, at both ends
        for _ in range(chance.choice([1, 1, 2, 4, 16])):
            place = chance.randrange(min(len(changed), 30_000)) if near else chance.randrange(len(changed))
            place = place if chance.random() < 0.5 else len(changed) - 1 - place
            changed[place] ^= 1 << chance.randrange(8)
        yield Hostile(f"{number}: {suffix} with wrong bits", renamed, bytes(changed), must_fail=False)


def _odd_tensors(state: State) -> Iterator[Hostile]:
    name = next(iter(state))
    good, ones = state[name], torch.ones(len(state[name]))
    with warnings.catch_warnings(action="ignore"):  # some of these are called old or in beta
        odd = {
            "sparse": good.to_sparse(),
            "sparse rows": good.flatten(1).to_sparse_csr(),
            "quantised": torch.quantize_per_tensor(good, 0.1, 0, torch.qint8),
            "quantised by channel": torch.quantize_per_channel(good, ones, ones * 0, 0, torch.qint8),
            "on meta": good.to("meta"),
            "nested": torch.nested.nested_tensor([good, good]),
            "complex": good.to(torch.complex64),
            "int8": good.to(torch.int8),
            "bool": good > 0,
            "a scalar": torch.tensor(1.0),
            "empty": torch.empty(0),
            "expanded": torch.zeros(1).expand(1 << 33),
        }
        for kind, tensor in odd.items():
            for new in (True, False):
                try:
                    yield Hostile(f"{kind}, {'zip' if new else 'old'}", ".pth", torch_bytes({**state, name: tensor}, new=new))
                except (RuntimeError, NotImplementedError, pickle.PicklingError):
                    continue
    for kind, value in {
        "no dict": [state[name]],
        "one tensor": state[name],
        "a number": 7,
        "nothing": {},
        "no tensors": {"state_dict": {"a": 1}},
        "two networks": {"generator": state, "discriminator": state},
        "a module": torch.nn.Linear(2, 2),
        "an optimizer": torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]).state_dict(),
        "deep": functools.reduce(lambda inside, _: {"model": inside}, range(50), state),
        "names of two lines": {f"a\n{key}": tensor for key, tensor in state.items()},
        "long names": {key * 1000: tensor for key, tensor in state.items()},
    }.items():
        yield Hostile(kind, ".pth", torch_bytes(value))
        yield Hostile(f"{kind}, old", ".pth", torch_bytes(value, new=False))


def _header(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _safetensors_lies() -> Iterator[Hostile]:
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    lies: dict[str, bytes] = {
        "a huge header": _header({"a": one}, bytes(8), length=1 << 62),
        "a header of 90 MB": _header({"a": one}, bytes(8), length=90_000_000),
        "a header cut short": _header({"a": one}, bytes(8), length=20),
        "no header": _header(b""),
        "a list": _header([one]),
        "bad text": _header(b"{\xff\xfe}"),
        "deep": _header(b'{"a":' * 20_000),
        "deep lists": _header(b'{"a":' + b"[" * 100_000),
        "no tensors": _header({}),
        "only words": _header({"__metadata__": {"a": "b"}}),
        "metadata of numbers": _header({"__metadata__": {"a": 1}, "a": one}, bytes(8)),
        "overlapping": _header({"a": one, "b": one}, bytes(8)),
        "trailing bytes": _header({"a": one}, bytes(80)),
        "twice the same": _header(b'{"a":%s,"a":%s}' % ((json.dumps(one).encode(),) * 2), bytes(8)),
    }
    for key, values in {
        "dtype": ["F4", "F8_E8M0", "F6_E2M3", "X", "", None, 3, ["F32"], "Q4_0", "f32", "C64", "BOOL"],
        "shape": [[1 << 62], [-1], [1 << 40, 1 << 40], [2.5], "2", None, [[2]], [0], [1 << 70], [2] * 10_000, []],
        "data_offsets": [[8, 0], [0, 1 << 62], [-8, 8], [0], [0, 8, 16], None, "08", [1 << 70, 8], [4, 12]],
    }.items():
        for value in values:
            lies[f"{key} {str(value)[:20]}"] = _header({"a": one | {key: value}}, bytes(8))
    for name, content in lies.items():
        yield Hostile(f"safetensors: {name}", ".safetensors", content)
        yield Hostile(f"safetensors: {name}, renamed", ".pth", content)


def _zips(state: State) -> Iterator[Hostile]:
    good = torch_bytes(state)
    members = dict(_members(good))
    root = next(name for name in members if name.endswith("data.pkl")).removesuffix("data.pkl")
    first = f"{root}data/0"
    yield Hostile("a bomb", ".pth", zipped({f"{root}data.pkl": bytes(150_000_000)}, zipfile.ZIP_DEFLATED))
    yield Hostile("a bomb of a record", ".pth", zipped({**members, first: bytes(150_000_000)}, zipfile.ZIP_DEFLATED))
    yield Hostile("a bomb in a zip", ".zip", zipped({"a.pth": bytes(150_000_000)}, zipfile.ZIP_DEFLATED))
    yield Hostile("a missing record", ".pth", zipped({k: v for k, v in members.items() if k != first}))
    yield Hostile("a short record", ".pth", zipped({**members, first: b"abc"}))
    yield Hostile("big-endian", ".pth", zipped({**members, f"{root}byteorder": b"big"}))
    yield Hostile("two checkpoints", ".zip", zipped({"a.pth": good, "b.pth": good}))
    yield Hostile("a zip in a zip in a zip", ".zip", zipped({"a.pth": zipped({"b.pth": good})}))
    yield Hostile("no checkpoint", ".pth", zipped({"a.txt": b"a"}))
    yield Hostile("LZMA", ".pth", zipped(members, zipfile.ZIP_LZMA))
    encrypted = bytearray(zipped(members))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := encrypted.find(mark, start)) >= 0:
            encrypted[start + place] |= 1
            start += 1
    yield Hostile("encrypted", ".pth", bytes(encrypted))
    yield Hostile("a wrong checksum", ".pth", good.replace(members[first], bytes(len(members[first])), 1))
    script = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # torch.jit is called old
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), script)
    yield Hostile("TorchScript", ".pt", script.getvalue())
    arrays = io.BytesIO()
    np.savez(arrays, a=np.ones(3))
    yield Hostile("numpy's zip", ".npz", arrays.getvalue())


def _members(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _programs() -> Iterator[Hostile]:
    """Pickles that need nothing but time and memory."""
    tensor = pickletools.optimize(pickle.dumps({"a": 1}, protocol=2))[:-1]
    storage = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0\x30X\3\0\0\0cpu"
    colliding = b"".join(b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little") + b"N" for n in range(20_000))
    huge = b"\x8a\x06" + b"\xff" * 5 + b"\x7f"
    programs = {
        "deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "deep tuples": b"\x80\x02)" + b"\x85" * 200_000 + b".",
        "a deep key": b"\x80\x02}N" + b"\x85" * 200_000 + b"Ns.",
        "a deep member": b"\x80\x04\x8f(N" + b"\x85" * 200_000 + b"\x90.",
        "a deep frozen set": b"\x80\x04(N" + b"\x85" * 200_000 + b"\x91.",
        "a far memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
        "a huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 36) + b"a.",
        "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"a.",
        "a huge frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
        "huge text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"a.",
        "a long number": b"L" + b"9" * 200_000 + b"L\n.",
        "laughs": b"\x80\x02]q\0" + b"".join(b"](" + b"h\0" * 10 + b"eq\0" for _ in range(200)) + b".",
        "itself": b"\x80\x02}q\0X\x05\0\0\0modelh\0s.",
        "a long program": b"\x80\x02" + b"N0" * 6_000_000 + b".",
        "colliding keys": b"\x80\x02}(" + colliding + b"u.",
        "a huge storage": storage + huge + b"tQK\0" + huge + b"\x85K\x01\x85\x89NtR.",
        "no end": tensor,
        "nothing on the stack": b"\x80\x02.",
        "a list that is called": b"\x80\x02])R.",
        "a state for a class": b"\x80\x02ctorch\nTensor\n}X\x01\0\0\0aNsb.",
        "a state for a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\0\0\0__defaults__)s\x86b.",
    }
    for name, program in programs.items():
        yield Hostile(name, ".pth", program)
        yield Hostile(f"{name}, zip", ".pth", zipped({"archive/data.pkl": program, "archive/version": b"3"}))
    yield Hostile("an archive of Unix", ".tar", b"net.pth".ljust(100, b"\0") + b"0000644\0" * 3 + bytes(400) + bytes(2048))
    yield Hostile("text", ".pth", b"not weights at all")
    yield Hostile("a page", ".pth", b"<!DOCTYPE html><html></html>")
    yield Hostile("empty", ".pth", b"")
    yield Hostile("zeros", ".pth", bytes(4096))
