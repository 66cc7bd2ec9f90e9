"""One operator of an exported graph, its arguments by the names of its schema."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import fx

from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, RefusedError, Shape


class Known(Protocol):
    """What the capture has found out before."""

    def value(self, node: fx.Node) -> tuple[str, Images] | None:
        """Name and images of what is computed from the network's input; None where it is not."""

    def constant(self, node: fx.Node) -> Any:
        """A tensor or number that is computed from weights and numbers alone.

        Raises:
            RefusedError: it is not.
        """

    def keep(self, node: fx.Node) -> str:
        """The name under which the graph has a constant from now on."""

    def each(self, node: fx.Node) -> list[Any]:
        """What depends on the number of images alone, for some numbers; nothing where it depends on more."""


WHOLE = (torch.int64, torch.int32)


class Call:
    """The arguments of one operator, by the names of its schema."""

    def __init__(self, node: fx.Node, known: Known) -> None:
        self.node, self._known = node, known
        self.any_images = False  # whether `name` takes a tensor wherever its images lie
        schema = getattr(node.target, "_schema", None)
        self._arguments: dict[str, Any] = {}
        if schema is not None:
            self._arguments = {argument.name: argument.default_value for argument in schema.arguments}
            self._arguments |= {argument.name: value for argument, value in zip(schema.arguments, node.args)}
            self._arguments |= node.kwargs

    def __getitem__(self, name: str) -> Any:
        """A number, list, string, constant tensor or None."""
        return fx.node.map_arg(self._arguments[name], self._known.constant)

    def has(self, argument: str) -> bool:
        """Whether the operator's schema has such an argument."""
        return argument in self._arguments

    def nodes(self, argument: str) -> list[fx.Node]:
        """A tensor, or those of a list."""
        found = self._arguments[argument]
        return [found] if isinstance(found, fx.Node) else list(found)

    def place(self, argument: str = "self", number: int = 0) -> tuple[str, Images]:
        """The value behind a tensor, and where its images lie."""
        found = self._known.value(self.nodes(argument)[number])
        if found is None:
            raise RefusedError(f"{argument} must be computed from the network's input, which a weight or constant is not")
        return found

    def place_of(self, node: fx.Node) -> tuple[str, Images]:
        """The same of another operator's result."""
        found = self._known.value(node)
        assert found is not None
        return found

    def value_of(self, node: fx.Node) -> tuple[str, Images] | None:
        """The same; None for what is not computed from the network's input."""
        return self._known.value(node)

    def is_whole(self, argument: str) -> bool:
        """Whether a tensor is of whole numbers, which the graph has as floats."""
        return all(node.meta["val"].dtype in WHOLE for node in self.nodes(argument))

    def given(self, argument: str) -> Any:
        """An argument as the graph of torch has it, nodes and all."""
        return self._arguments[argument]

    def constant(self, node: fx.Node) -> Any:
        """What a node gives that does not depend on the network's input."""
        return self._known.constant(node)

    def keep(self, node: fx.Node) -> str:
        """The name of a constant in the graph."""
        return self._known.keep(node)

    def array(self, argument: str, number: int) -> Array | None:
        """A constant tensor of a list; None for what is computed from the network's input."""
        node = self.nodes(argument)[number]
        return None if self._known.value(node) else self._known.constant(node).float().cpu().numpy()

    def is_zero(self, argument: str) -> bool:
        """Whether all tensors of an argument are zeros, whatever the number of images."""
        found = [self._known.each(node) for node in self.nodes(argument)]
        return all(each and not any(tensor.any() for tensor in each) for each in found)

    def name(self, argument: str = "self") -> str:
        """The value behind a tensor whose dimension 0 counts the images."""
        name, images = self.place(argument)
        if not images.is_first and not self.any_images:
            raise RefusedError(f"dimension 0 must count the images of the batch and nothing else, found {images}")
        return name

    def weights(self, *arguments: str) -> tuple[str, ...]:
        """The constants behind tensors, absent ones left out."""
        return tuple(self._known.keep(self._arguments[each]) for each in arguments if self._arguments[each] is not None)

    def number(self, argument: str) -> torch.Tensor | None:
        """What does not depend on the network's input, as a tensor of float32; None for what does."""
        found = self._arguments[argument]
        if isinstance(found, fx.Node) and self._known.value(found):
            return None
        return torch.as_tensor(self[argument]).float()

    def sizes(self, argument: str) -> tuple[int, ...]:
        """Of an input, the batch taken as 1."""
        return self.sizes_at(argument, 0)

    def sizes_at(self, argument: str, number: int) -> tuple[int, ...]:
        """Of one of a list."""
        return sizes_of(self.nodes(argument)[number].meta["val"])[0]

    def is_off(self) -> bool:
        """Whether a dropout drops nothing."""
        return self.has("train") and (not self["train"] or self["p"] == 0)

    def of(self, node: fx.Node) -> Call:
        """Another operator's."""
        return Call(node, self._known)

    @property
    def output(self) -> Images:
        """Of the first output, where dimension 0 counts the images."""
        value = self.node.meta["val"]
        sizes, axis = sizes_of(value[0] if isinstance(value, tuple | list) else value)
        images = None if axis is None else Images(sizes, axis)
        if images is None or not (images.is_first or self.any_images):
            raise RefusedError(f"dimension 0 of its result must count the images of the batch and nothing else, found {images}")
        return images

    @property
    def shape(self) -> Shape:
        return self.output.stored

    def dim(self, argument: str = "dim", x: str = "self") -> int:
        return int(self[argument]) % len(self.sizes(x))


def sizes_of(tensor: Any) -> tuple[tuple[int, ...], int | None]:
    """The sizes of a tensor, the batch taken as 1, and which dimension is a multiple of the batch.

    Raises:
        RefusedError: one depends on the batch in another way, or two do.
    """
    sizes: list[int] = []
    axis = None
    for dim, size in enumerate(tensor.shape):
        if not isinstance(size, torch.SymInt):
            sizes.append(size)
            continue
        expression = size.node.expr
        symbols = list(expression.free_symbols)
        count = expression / symbols[0] if len(symbols) == 1 else expression
        if not count.is_Integer or (symbols and axis is not None):
            shape = str(tuple(tensor.shape))
            for symbol in symbols:
                shape = shape.replace(str(symbol), "N")
            raise RefusedError(f"its result of shape {shape} does not keep the images of the batch apart")
        sizes.append(int(count))
        axis = dim if symbols else axis
    return tuple(sizes), axis


def operator_of(node: fx.Node) -> str:
    """The name in `TRANSLATIONS`; one in place is called as the one that is not."""
    name = str(node.target).removesuffix(".default")
    if not is_in_place(node):
        return name
    namespace, operator, *overload = name.split(".")
    return ".".join([namespace, operator.removesuffix("_"), *overload])


def is_in_place(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)
