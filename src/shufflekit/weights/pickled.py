"""PyTorch's checkpoints as plain data: nothing of theirs runs, and no value is read before it is wanted.

A pickle is a program that names functions and calls them. Here a name becomes a record that nothing calls; the few that make
tensors and dicts are done by functions of this file, the harmless ones stand for themselves, and any other is refused. Tensors
become records of where their values lie, which are checked against what the file holds before memory is taken.

Source:
    torch/serialization.py and torch/_utils.py of PyTorch 2: the zip written since 1.6, and the file written before.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
import sys
import zipfile
import zlib
from _compat_pickle import IMPORT_MAPPING as _MODULES
from _compat_pickle import NAME_MAPPING as _NAMES
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import torch
from torch import Tensor

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError)  # RuntimeError: encrypted
_MEMBERS = (".pth", ".pt", ".tar", ".bin", ".ckpt", ".safetensors")
_MOST_READS = 5_000_000  # of a pickle, about four for each object; a few seconds
_MOST_PICKLED = 1 << 26  # bytes of objects that are no tensors
_MOST_DIMS = 64
_SLACK = 1 << 26  # bytes that a file of any size may become
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of torch.save before 1.6

# What people put beside their weights: the classes of arguments, scores, paths, dates and settings. All are inert here.
_HARMLESS = re.compile(
    r"""(
    builtins\.(object|int|float|complex|bool|str|bytes|bytearray|list|tuple|dict|set|frozenset|slice|range|type|Ellipsis|NotImplemented)
    | _codecs\.encode | copyreg\.(_reconstructor|__newobj__(ex__)?) | functools\.partial | re\._compile | typing\.[A-Z]\w*
    | argparse\.Namespace | types\.(SimpleNamespace|NoneType) | uuid\.\w+ | zoneinfo\.ZoneInfo(\._unpickle)?
    | collections\.[a-zA-Z]+ | datetime\.\w+ | decimal\.Decimal | enum\.[A-Z]\w* | fractions\.Fraction
    | pathlib\.(_local\.)?\w*Path
    | numpy\.(ndarray|dtype|(bool|u?int|float|complex|str|bytes|void|object|datetime|timedelta)\d*_?|dtypes\.\w+)
    | numpy\._?core\.(multiarray\.(scalar|_reconstruct)|numeric\._frombuffer) | numpy\.random\._?\w+\.\w+
    | (addict|box|easydict|fvcore|hydra|ml_collections|mmcv|mmengine|omegaconf|timm|torchvision|yacs)(\.\w+)*\.[A-Z]\w*
    | (lightning|lightning_fabric|pytorch_lightning|torch\.(optim|amp|cuda\.amp))(\.\w+)*\.[A-Z]\w*
    | torch\.(Tensor|Size|device|Generator|per_(tensor|channel)_(affine|symmetric)|serialization\._get_layout)
    | torch\.nn\.(parameter\.)?(Parameter|Buffer)
    )""",
    re.VERBOSE,
)
_DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "QInt8": torch.qint8,
    "QUInt8": torch.quint8,
    "QInt32": torch.qint32,
}


class RefusedError(pickle.UnpicklingError):
    """A pickle needs a name that could run code; `args[0]` is the name."""


@dataclass(frozen=True)
class Storage:
    """A run of values in a file; `dtype` is None where each tensor brings its own."""

    key: str
    dtype: torch.dtype | None
    numel: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that is still in its file: a view of a storage, offsets and strides in elements."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (self.storage.numel, self.offset, *self.size[:_MOST_DIMS], *self.stride[:_MOST_DIMS])
        known = all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)
        if not known or len(self.size) != len(self.stride) or len(self.size) > _MOST_DIMS:
            raise pickle.UnpicklingError("a tensor of an impossible size")

    @property
    def ndim(self) -> int:
        return len(self.size)

    @property
    def nbytes(self) -> int:
        return math.prod(self.size) * self.dtype.itemsize

    @property
    def extent(self) -> int:
        """How many bytes of its storage it reaches into."""
        last = sum((size - 1) * stride for size, stride in zip(self.size, self.stride))
        return (self.offset + last + 1) * self.dtype.itemsize if math.prod(self.size) else 0


@dataclass(frozen=True)
class OddTensor:
    """A tensor that is no plain array of values: sparse, quantised, without memory, ..."""

    kind: str
    ndim: int = 1


@dataclass(frozen=True)
class Named:
    """What a pickle calls by a name."""

    name: str


class Other:
    """What a pickle makes of a name that is harmless: nothing that could be used."""


@dataclass
class Checkpoint:
    """What a checkpoint holds: dicts, lists, numbers, words, and tensors as records, whose values `tensor` reads."""

    content: Any
    read_storage: Callable[[Storage], bytearray]
    _storages: dict[str, bytearray] = field(default_factory=dict)

    def tensor(self, record: StoredTensor) -> Tensor:
        """The values of a record; tensors of one storage share its memory, as in the file.

        Raises:
            ValueError: the file does not hold as many.
        """
        key = record.storage.key
        if key not in self._storages:
            self._storages[key] = self.read_storage(record.storage)
        content = self._storages[key]
        if record.extent > len(content):
            raise ValueError(f"a tensor of {record.extent} bytes in a storage of {len(content)}")
        if not record.nbytes:
            return torch.empty(record.size, dtype=record.dtype)
        whole = len(content) // record.dtype.itemsize
        return torch.frombuffer(content, dtype=record.dtype, count=whole).as_strided(record.size, record.stride, record.offset)


def open_zip(file: BinaryIO) -> Checkpoint | bytes:
    """A checkpoint in torch.save's zip, or the content of the only file of weights that a zip holds.

    Raises:
        RefusedError: it could run code.
        ValueError: neither.
        ZIP_ERRORS, pickle.UnpicklingError and what else a damaged file leads to.
    """
    archive = zipfile.ZipFile(file)  # open for as long as the file is
    check_inflated(archive)
    names = [name for name in archive.namelist() if not name.endswith("/")]
    pickles = [name for name in names if PurePosixPath(name).name == "data.pkl"]
    if any(PurePosixPath(name).name == "constants.pkl" for name in names):
        raise RefusedError("TorchScript")
    if not pickles:
        inside = [name for name in names if name.lower().endswith(_MEMBERS) and not name.startswith("__MACOSX/")]
        if len(inside) != 1:
            raise ValueError(f"a zip with {len(inside)} files of weights in it")
        return archive.read(inside[0])
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != sys.byteorder.encode():
        raise ValueError("written on a machine of another byte order")
    if archive.getinfo(pickles[0]).file_size > _MOST_PICKLED:
        raise ValueError(f"more than {_MOST_PICKLED >> 20} MiB of objects that are no tensors")
    content = _Unpickler(io.BytesIO(archive.read(pickles[0]))).load()

    def read(storage: Storage) -> bytearray:
        member = archive.getinfo(f"{root}data/{storage.key}")
        with archive.open(member) as source:
            values = bytearray(member.file_size)
            if source.readinto(values) != len(values):  # type: ignore[attr-defined]
                raise EOFError("cut off")
            return values

    return Checkpoint(content, read)


def open_pickle(file: BinaryIO) -> Checkpoint:
    """A checkpoint as torch.save wrote it before 1.6, or any other pickle.

    Raises:
        RefusedError: it could run code.
        pickle.UnpicklingError and what else a damaged file leads to.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    content = _Unpickler(file).load()
    if content != _MAGIC:
        return Checkpoint(content, _no_storage)
    if _Unpickler(file).load() != _PROTOCOL:
        raise ValueError("an unknown version of torch.save's old format")
    _Unpickler(file).load()  # the machine's sizes of integers
    unpickler = _Unpickler(file)
    content = unpickler.load()
    keys = _Unpickler(file).load()
    places: dict[str, tuple[int, int]] = {}
    for key in keys if isinstance(keys, list) else ():
        storage = unpickler.storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise ValueError("a storage of no tensor")
        (count,) = struct.unpack("<q", file.read(8))
        start, length = file.tell(), count * (storage.dtype.itemsize if storage.dtype is not None else 1)
        if count < 0 or start + length > size:
            raise EOFError("cut off")
        places[storage.key] = start, length
        file.seek(start + length)

    def read(storage: Storage) -> bytearray:
        start, length = places[storage.key]
        file.seek(start)
        return bytearray(file.read(length))

    return Checkpoint(content, read)


def check_inflated(archive: zipfile.ZipFile) -> None:
    """Refuses a zip that would become much more than it is.

    Raises:
        zipfile.BadZipFile: it would.
    """
    assert archive.fp is not None, "the archive is open"
    entries = archive.infolist()
    inflated = sum(entry.file_size for entry in entries)
    if inflated > _SLACK + 16 * archive.fp.seek(0, io.SEEK_END):
        raise zipfile.BadZipFile(f"{inflated >> 20} MiB when unpacked, which is more than weights shrink by")
    for entry in entries:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(f"{entry.filename}: compressed in an unusual way")


def _no_storage(storage: Storage) -> bytearray:
    raise ValueError(f"no values for storage {storage.key}")


class _Reads:
    """A file whose reads are counted, so that a short program cannot run for long."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left, self._bytes = file, _MOST_READS, _MOST_PICKLED

    def read(self, count: int) -> bytes:
        return self._counted(self._file.read(min(count, self._bytes + 1)))

    def readline(self) -> bytes:
        return self._counted(self._file.readline(self._bytes + 1))

    def _counted(self, content: bytes) -> bytes:
        self._left -= 1
        self._bytes -= len(content)
        if self._left < 0 or self._bytes < 0:
            raise pickle.UnpicklingError("too many objects that are no tensors")
        return content


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler, in which nothing is called and nothing but our dicts and lists is changed."""

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]
    proto: int
    readline: Callable[[], bytes]

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(_Reads(file), encoding="utf-8", errors="replace")
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if self.proto < 3:  # of Python 2, where modules had other names
            module, name = _NAMES.get((module, name), (_MODULES.get(module, module), name))
        full = f"{module}.{name}"
        if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
            return dtype
        if full in _MAKERS or _HARMLESS.fullmatch(full) or (module.split(".")[0] == "torch" and name.endswith("Storage")):
            return Named(full)
        shown = full.removeprefix("builtins.")[:100]
        raise RefusedError(shown if shown.isprintable() else ascii(shown))

    def persistent_load(self, pid: Any) -> Storage:
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] not in ("storage", b"storage"):
            raise pickle.UnpicklingError("a reference to what is no storage")
        kind, key, _, numel, *view = pid[1:]
        if not isinstance(kind, Named) or not isinstance(key, str) or any(one is not None for one in view):
            raise pickle.UnpicklingError("a storage of an unknown form")
        word = kind.name.rpartition(".")[2].removesuffix("Storage")
        storage = Storage(key, _DTYPES.get(word), numel)
        return self.storages.setdefault(key, storage)

    def get_extension(self, code: int) -> None:
        raise RefusedError(f"extension {code}")

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _made(self.stack[-1], arguments)

    def _newobj_ex(self) -> None:
        self.stack.pop()
        self._reduce()

    def _inst(self) -> None:
        module, name = (self.readline()[:-1].decode() for _ in range(2))
        self.append(_made(self.find_class(module, name), tuple(self.pop_mark())))

    def _obj(self) -> None:
        named, *arguments = self.pop_mark()
        self.append(_made(named, tuple(arguments)))

    def _build(self) -> None:
        self.stack.pop()

    def _items(self) -> None:
        items = self.pop_mark()
        _set_items(self.stack[-1], zip(items[::2], items[1::2]))

    def _item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _set_items(self.stack[-1], [(key, value)])

    def _extend(self) -> None:
        items = self.pop_mark()
        if type(self.stack[-1]) is list:
            self.stack[-1].extend(items)

    def _append(self) -> None:
        value = self.stack.pop()
        if type(self.stack[-1]) is list:
            self.stack[-1].append(value)

    def _add_items(self) -> None:
        self.pop_mark()

    def _bytearray(self) -> None:
        (length,) = struct.unpack("<Q", self.read(8))
        self.read(length)  # Python's own takes the memory first
        self.append(Other())

    def _frozenset(self) -> None:
        self.pop_mark()
        self.append(Other())

    def _dict(self) -> None:
        items, made = self.pop_mark(), dict[Any, Any]()
        _set_items(made, zip(items[::2], items[1::2]))
        self.append(made)

    dispatch = pickle._Unpickler.dispatch | {  # type: ignore[assignment]
        pickle.REDUCE[0]: _reduce,
        pickle.NEWOBJ[0]: _reduce,
        pickle.NEWOBJ_EX[0]: _newobj_ex,
        pickle.INST[0]: _inst,
        pickle.OBJ[0]: _obj,
        pickle.BUILD[0]: _build,
        pickle.SETITEM[0]: _item,
        pickle.SETITEMS[0]: _items,
        pickle.APPEND[0]: _append,
        pickle.APPENDS[0]: _extend,
        pickle.ADDITEMS[0]: _add_items,
        pickle.FROZENSET[0]: _frozenset,
        pickle.DICT[0]: _dict,
        pickle.BYTEARRAY8[0]: _bytearray,
    }


def _set_items(target: Any, items: Any) -> None:
    """Only words as keys: the hash of a deep tuple would end the process, and numbers can be made to collide."""
    if type(target) is dict:
        target.update((key, value) for key, value in items if type(key) is str)


def _made(named: Any, arguments: Any) -> Any:
    """What calling a name gives: by a function of ours, or something inert."""
    if not isinstance(arguments, tuple):
        raise pickle.UnpicklingError("a call without arguments")
    if isinstance(named, Named) and named.name in _MAKERS:
        return _MAKERS[named.name](*arguments)
    return Other()


def _dict_of(*arguments: Any) -> dict[Any, Any]:
    """OrderedDict(), OrderedDict([[key, value], ...]), Counter({...}), defaultdict(factory)."""
    given = arguments[-1] if arguments else None
    if type(given) is dict:
        return given
    made: dict[Any, Any] = {}
    if type(given) is list:
        _set_items(made, [pair for pair in given if isinstance(pair, tuple | list) and len(pair) == 2])
        given.clear()  # so that a short program cannot have a long list copied again and again
    return made


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any, dtype: torch.dtype | None = None) -> StoredTensor:
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise pickle.UnpicklingError("a tensor without a storage")
    dtype = dtype or storage.dtype
    if dtype is None:
        raise pickle.UnpicklingError("a tensor without a type")
    return StoredTensor(storage, dtype, offset, size, stride)


def _tensor_v3(storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any) -> StoredTensor:
    if not isinstance(dtype, torch.dtype):
        raise pickle.UnpicklingError("a tensor without a type")
    return _tensor(storage, offset, size, stride, dtype=dtype)


def _from_type(function: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """A tensor with attributes; one of another class is no plain array."""
    plain = isinstance(kind, Named) and kind.name in ("torch.Tensor", "torch.nn.parameter.Parameter")
    return _made(function, arguments) if plain else OddTensor("of a class of its own")


def _same(tensor: Any, *_: Any) -> Any:
    return tensor


def _odd(kind: str) -> Callable[..., OddTensor]:
    return lambda *_: OddTensor(kind)


def _size(size: Any = (), *_: Any) -> tuple[Any, ...]:
    return tuple(size[:_MOST_DIMS]) if isinstance(size, tuple | list) else ()


_MAKERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _dict_of,
    "collections.defaultdict": _dict_of,
    "collections.Counter": _dict_of,
    "builtins.dict": _dict_of,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _same,
    "torch._utils._rebuild_parameter_with_state": _same,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _same,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch._utils._rebuild_sparse_tensor": _odd("sparse"),
    "torch._utils._rebuild_sparse_csr_tensor": _odd("sparse"),
    "torch._utils._rebuild_qtensor": _odd("quantised"),
    "torch._utils._rebuild_meta_tensor_no_storage": _odd("on the meta device, without values"),
    "torch._utils._rebuild_nested_tensor": _odd("nested"),
    "torch._utils._rebuild_wrapper_subclass": _odd("of a class of its own"),
    "torch._utils._rebuild_device_tensor_from_numpy": _odd("of another kind of device"),
}
