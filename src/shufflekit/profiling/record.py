"""What a network costs, as plain data that prints, saves and can be built by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shufflekit.cost.categories import CATEGORIES, Category
from shufflekit.cost.counts import LayerCount
from shufflekit.device import Device
from shufflekit.profiling.latency import Latency
from shufflekit.records import parsed, record

EngineName = Literal["native", "native-int8", "torch", "torch-compile", "onnxruntime", "openvino"]
ENGINES: Mapping[EngineName, str] = {
    "native": "the engine",
    "native-int8": "the engine in int8",
    "torch": "PyTorch eager",
    "torch-compile": "PyTorch compiled",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}


@dataclass(frozen=True)
class Profile:
    """Costs of one forward pass; `flops` are multiply-adds, `mac` is in elements, `latency` is None unless measured.

    `layers` and `unknown` are those of `shufflekit.cost.Counts`; `more_inputs` are the shapes of the inputs behind the first.
    """

    input_shape: tuple[int, ...]
    flops: int
    params: int
    mac: int
    layers: tuple[LayerCount, ...]
    unknown: Mapping[str, int]
    threads: int
    latency: Latency | None = None
    more_inputs: tuple[tuple[int, ...], ...] = ()

    @property
    def latency_ms(self) -> float | None:
        """Median latency, where it was measured."""
        return self.latency.median_ms if self.latency else None

    @property
    def mac_bytes(self) -> int:
        """Memory access cost in bytes."""
        return sum(layer.mac_bytes for layer in self.layers)


@dataclass(frozen=True)
class MeasuredLayer(LayerCount):
    """An operator with its time and the least that this machine could take for it.

    The true median of its time lies between `low_ms` and `high_ms` with at least 95 % confidence; `share` is its part of the
    sum over all operators.
    """

    ms: float = 0.0
    low_ms: float = 0.0
    high_ms: float = 0.0
    limit_ms: float = 0.0
    share: float = 0.0


def timed_layers(
    layers: Sequence[LayerCount], times: Sequence[Latency], threads: int, device: Device
) -> tuple[MeasuredLayer, ...]:
    """Operators, or steps, with their times, limits and shares."""
    total = sum(time.median_ms for time in times)
    return tuple(
        MeasuredLayer(
            **vars(layer),
            ms=time.median_ms,
            low_ms=time.low_ms,
            high_ms=time.high_ms,
            limit_ms=device.limit_ms(layer.flops, layer.mac_bytes, threads),
            share=time.median_ms / total,
        )
        for layer, time in zip(layers, times, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class MeasuredProfile(Profile):
    """A profile with the time of each operator.

    Args:
        layers: of PyTorch the operators that ran; of the engine the steps of the plan, whose `operator` is the kernel.
        engine: what ran it.
        network: its name.
        device: the machine and its limits.
        removed: of the engine, how many of each operator were compiled away.
        warnings: what stood in the way of a good measurement, one line each.
    """

    layers: tuple[MeasuredLayer, ...]
    latency: Latency
    engine: EngineName = "torch"
    network: str = ""
    device: Device
    removed: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def ms(self) -> float:
        """Sum over the operators; `latency_ms` is the whole, measured without looking inside."""
        return sum(layer.ms for layer in self.layers)

    @property
    def limit_ms(self) -> float:
        """Sum of the operators' limits."""
        return sum(layer.limit_ms for layer in self.layers)

    @property
    def by_category(self) -> dict[Category, float]:
        """ms of each category of Figure 2."""
        return {name: sum(layer.ms for layer in self.layers if layer.category == name) for name in CATEGORIES}

    @property
    def by_operator(self) -> dict[str, float]:
        """ms of each operator, the longest first."""
        return _summed((layer.operator, layer.ms) for layer in self.layers)

    def by_module(self, depth: int | None = None) -> dict[str, float]:
        """ms of each module, the longest first.

        Args:
            depth: parts of the path that count, "stage2.1" has two; by default the innermost module that called the operator.
        """
        return _summed((".".join(layer.name.split(".")[:depth]), layer.ms) for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers; what follows from other fields is in it for readers that are not Python."""
        return {
            "network": self.network,
            "engine": self.engine,
            "input_shape": list(self.input_shape),
            "more_inputs": [list(shape) for shape in self.more_inputs],
            "threads": self.threads,
            "flops": self.flops,
            "params": self.params,
            "mac": self.mac,
            "mac_bytes": self.mac_bytes,
            "latency": vars(self.latency).copy(),
            "ms": self.ms,
            "limit_ms": self.limit_ms,
            "by_category": self.by_category,
            "by_operator": self.by_operator,
            "by_module": self.by_module(),
            "unknown": dict(self.unknown),
            "removed": dict(self.removed),
            "warnings": list(self.warnings),
            "layers": [_layer_to_dict(layer) for layer in self.layers],
            "device": self.device.to_dict(),
        }

    def to_json(self) -> str:
        """The dictionary as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> MeasuredProfile:
        """Reads what `to_dict` wrote.

        Raises:
            InputError: it is something else; the message says what is wrong first.
        """
        return record(cls, found, "profile")

    def wrong(self) -> str | None:
        """What no profile can have, for `record`."""
        if not self.layers:
            return "layers: must be one or more, found none"
        for number, layer in enumerate(self.layers):
            if not layer.input_shapes or not layer.output_shapes:
                return f"layers[{number}]: must have a shape that it reads and one that it writes"
            if any(not 0 <= place < len(self.layers) for place in layer.reads):
                return f"layers[{number}].reads: must be places of layers, found {list(layer.reads)}"
            times = (layer.ms, layer.low_ms, layer.high_ms, layer.limit_ms, layer.share)
            if min(*times, layer.flops, layer.mac_bytes) < 0:
                return f"layers[{number}]: must have times and counts from 0 on"
        if self.ms <= 0:
            return "layers: must take more than 0 ms together"
        return None if self.latency.median_ms > 0 else f"latency: must be above 0, found {self.latency.median_ms}"

    @classmethod
    def from_json(cls, text: str) -> MeasuredProfile:
        """Reads what `to_json` wrote.

        Raises:
            InputError: it is something else; the message says what is wrong first.
        """
        return cls.from_dict(parsed(text, "profile"))


def _summed(pairs: Any) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, ms in pairs:
        sums[name] = sums.get(name, 0.0) + ms
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _layer_to_dict(layer: MeasuredLayer) -> dict[str, Any]:
    return {**vars(layer), "category": layer.category, "intensity": layer.intensity}
