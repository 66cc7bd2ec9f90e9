"""MODEL, one reading for every verb: what it names, whether the verb takes that, and what it is made into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shufflekit.cli._kinds import Kind, kind_of
from shufflekit.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.runtime import Engine
    from shufflekit.shapes import Shapes

_IS = {"callable": "a callable of a module", "plan": "a plan", "onnx": "an ONNX file"}
_NEEDED = {
    "named": "a name, a folder of save_pretrained or train, hf-hub:owner/name",
    "callable": "package.module:callable",
    "plan": "a plan of `shufflekit compile`",
    "onnx": "an ONNX file",
}
NETWORK: tuple[Kind, ...] = ("named", "callable")  # in PyTorch


@dataclass(frozen=True)
class Model:
    """What a MODEL names; only a network of PyTorch's loads torch.

    Args:
        text: MODEL; None for the network that the weights name.
        kind: "named" is in the registry or saved.
        weights: a tag, a file, "random", or None for its own.
    """

    text: str | None
    kind: Kind
    weights: str | None = None

    @property
    def is_network(self) -> bool:
        """Whether it is one of PyTorch's."""
        return self.kind in NETWORK

    def network(self) -> nn.Module:
        """A network of PyTorch's, with its weights."""
        from shufflekit.cli._networks import load_network

        return load_network(self.text, self.weights)

    def untrained(self) -> nn.Module:
        """The same where weights do not matter: random ones for the registry's, so that none are downloaded."""
        from shufflekit.cli._networks import untrained_network

        assert self.text is not None
        return untrained_network(self.text)

    def engine(self, threads: int, shape: Shapes | None = None, given: Mapping[str, Any] | None = None) -> Engine:
        """A plan, or an ONNX file compiled.

        Args:
            threads: of one call.
            shape: of the input, or of several; a plan has its own.
            given: what the command line says of the preparation for an ONNX file.

        Raises:
            UsageError: another shape than a plan's, or one that does not fit the file.
            InputError: a file that cannot be used.
        """
        from shufflekit.cli._onnx import compile_onnx
        from shufflekit.runtime import load
        from shufflekit.shapes import shapes_of

        assert self.text is not None
        if self.kind == "onnx":
            return compile_onnx(self.text, shape, threads, given)
        engine = load(Path(self.text), threads)
        own = {each.name: tuple(each.shape) for each in engine.inputs}
        for name, sizes in shapes_of(shape or {}, list(own), "shape").items():
            if sizes[1:] != own[name]:
                shown, found = ("x".join(map(str, each)) for each in (own[name], sizes[1:]))
                raise UsageError(f"shape: {self.text} is a plan for images of {shown}, found {found}")
        return engine


def read_model(
    text: str | None, verb: str, takes: Sequence[Kind], weights: str | None = None, engine: str | None = None
) -> Model:
    """What MODEL names.

    Args:
        text: MODEL; None where the verb has a default.
        verb: for the message.
        takes: what the verb can use.
        weights: of --weights.
        engine: of --engine.

    Raises:
        UsageError: the verb does not take it, or a file that has weights and runs on the engine was to have others.

    Example:
        >>> read_model("shufflenet_v2_x1_0", "audit", NETWORK).kind, read_model("my.nets:small", "audit", NETWORK).kind
        ('named', 'callable')
        >>> read_model("net.plan", "audit", NETWORK)
        Traceback (most recent call last):
        shufflekit.errors.UsageError: model: net.plan is a plan, and audit takes a name, a folder of save_pretrained or train,
        hf-hub:owner/name or package.module:callable
    """
    kind = "named" if text is None else kind_of(text)
    if kind not in takes:
        *most, last = [_NEEDED[each] for each in takes]
        raise UsageError(f"model: {text} is {_IS[kind]}, and {verb} takes {', '.join(most)}{' or ' * bool(most)}{last}")
    if kind not in NETWORK and weights is not None:
        raise UsageError(f"weights: {_IS[kind]} has its own, found {weights!r}")
    if kind not in NETWORK and engine not in (None, "native"):
        raise UsageError(f"engine: {_IS[kind]} runs on native only, found {engine!r}")
    return Model(text, kind, weights)
