"""What rounding a network to bytes lost, step by step: a record that a plan keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shufflekit.errors import InputError

LEAST_DB = 20.0  # under which an output is told of in a warning
_SHOWN = 99.0  # dB: more is no loss at all


@dataclass(frozen=True)
class StepLoss:
    """Signal-to-noise ratios of what one step writes, against float32, in dB.

    Args:
        name: of the step.
        operator: what it computes.
        alone: where it alone reads, multiplies and writes rounded numbers.
        whole: where all steps do.
        kept: why it stays in float32; empty where it is in bytes.
    """

    name: str
    operator: str
    alone: float
    whole: float
    kept: str = ""


@dataclass(frozen=True)
class Quantization:
    """How a network was rounded to bytes, and what each step lost by it on images of the calibration.

    Args:
        outputs: signal-to-noise ratio of each output against float32, in dB.
        weight_bits: of a weight.
        images: from which the ranges were learnt.

    Example:
        >>> steps = StepLoss("conv1", "conv", 41.2, 40.9), StepLoss("fc", "linear", 45.0, 33.1)
        >>> print(Quantization(steps, {"fc": 33.1}, weight_bits=8, images=300))
        step   operator  alone  all steps
        conv1  conv       41.2       40.9
        fc     linear     45.0       33.1
        signal-to-noise in dB; output fc 33.1; weights of 8 bits, ranges of 300 images
    """

    steps: tuple[StepLoss, ...]
    outputs: Mapping[str, float]
    weight_bits: int
    images: int

    @property
    def warning(self) -> str:
        """One line that names the step to look at, where an output has less than 20 dB; else empty."""
        if not self.steps or min(self.outputs.values(), default=LEAST_DB) >= LEAST_DB:
            return ""
        name, db = min(self.outputs.items(), key=lambda each: each[1])
        worst = min((step for step in self.steps if not step.kept), key=lambda step: step.alone, default=self.steps[0])
        return (
            f"int8: output {name} must have {LEAST_DB:.0f} dB of signal to noise to be trusted, found {db:.1f}: "
            f"step {worst.name} loses most, with {worst.alone:.1f} dB alone: --keep {worst.name} leaves it in float32"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Quantization:
        """Of plain data.

        Raises:
            InputError: it is something else.
        """
        try:
            steps = tuple(StepLoss(**each) for each in found["steps"])
            return cls(steps, dict(found["outputs"]), found["weight_bits"], found["images"])
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(f"plan: quantization is not as it was written ({error})") from None

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("step", "operator", "alone", "all steps")]
        rows += [(each.name, each.operator, _db(each.alone), _db(each.whole), each.kept) for each in self.steps]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        justify = (str.ljust, str.ljust, str.rjust, str.rjust)
        lines = [
            "  ".join([*(side(cell, width) for side, cell, width in zip(justify, row, widths)), *row[4:]]).rstrip()
            for row in rows
        ]
        outputs = ", ".join(f"{name} {_db(db)}" for name, db in self.outputs.items())
        plural = "" if self.images == 1 else "s"
        how = f"weights of {self.weight_bits} bits, ranges of {self.images} image{plural}"
        return "\n".join([*lines, f"signal-to-noise in dB; output {outputs}; {how}"])


def _db(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < _SHOWN else "-"
