"""Whether measured times follow a guideline: rank correlation and slowdown, over all columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean
from typing import Literal

from shufflekit.reproduce.guidelines.measure import Table

# A guideline is followed where more of what it warns of mostly goes with more time, and the worst of it costs something.
_LEAST_CORRELATION = 0.5
_LEAST_SLOWDOWN = 1.05

_NAMES = {
    "pytorch": "PyTorch on this device",
    "native": "the engine on this device",
    "cuda": "this device's GPU",
    "gpu": "the paper's GPU",
    "arm": "the paper's phone",
}


@dataclass(frozen=True)
class Verdict:
    """What a table says on one engine.

    `correlation` is Spearman's, between what the rows vary and ms per multiply-add, the mean over the columns. `slowdown` is
    how much longer the worst row (`worst`) takes per multiply-add than the row with the least, the geometric mean over the
    columns; `slowdowns` has each.
    """

    engine: str
    correlation: float
    slowdown: float
    slowdowns: tuple[float, ...]
    worst: str
    guideline: str
    warns: str

    @property
    def follows(self) -> Literal["yes", "in part", "no"]:
        """Yes where the correlation is at least 0.5 and the worst row at least 1.05 times slower; in part where one is."""
        held = (self.correlation >= _LEAST_CORRELATION) + (self.slowdown >= _LEAST_SLOWDOWN)
        return ("no", "in part", "yes")[held]

    def __str__(self) -> str:
        """One sentence.

        Example:
            >>> print(Verdict("native", 0.9, 1.25, (1.0, 1.5625), "1:12", "G1", "unequal widths cost time"))
            The engine on this device follows G1 (unequal widths cost time): 1:12 takes 1.25x (1.00x to 1.56x) per
            multiply-add, rank correlation 0.90.
        """
        name = _NAMES[self.engine]
        guideline = self.guideline
        does = {"yes": f"follows {guideline}", "in part": f"follows {guideline} in part", "no": f"does not follow {guideline}"}
        return (
            f"{name[0].upper()}{name[1:]} {does[self.follows]} ({self.warns}): {self.worst} takes {self.slowdown:.2f}x "
            f"({min(self.slowdowns):.2f}x to {max(self.slowdowns):.2f}x) per multiply-add, "
            f"rank correlation {self.correlation:.2f}."
        )


def judge(table: Table, engine: str) -> Verdict | None:
    """What the table says on "pytorch", "native", "cuda", or the paper's "gpu" or "arm"; None where no column was timed."""
    timed = [(column, slowdowns) for column in table.columns if (slowdowns := column.slowdowns(engine)) is not None]
    if not timed:
        return None
    rows = timed[0][0].rows
    amounts = [row.amount for row in rows]
    of_row = [tuple(slowdowns[i] for _, slowdowns in timed) for i in range(len(rows))]
    most = [i for i, amount in enumerate(amounts) if amount == max(amounts)]
    worst = max(most, key=lambda i: geometric_mean(of_row[i]))
    return Verdict(
        engine=engine,
        correlation=fmean(rank_correlation(amounts, slowdowns) for _, slowdowns in timed),
        slowdown=geometric_mean(of_row[worst]),
        slowdowns=of_row[worst],
        worst=rows[worst].label,
        guideline=table.guideline,
        warns=table.warns,
    )


def rank_correlation(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Spearman's: 1 where both rise together, -1 where one falls, 0 where one of them never changes.

    Equal values share the mean of their ranks.

    Example:
        >>> rank_correlation([1, 2, 6, 12], [1.0, 1.1, 1.05, 1.6])
        0.8
    """
    return _correlation(_ranks(xs), _ranks(ys))


def _ranks(values: Sequence[float]) -> list[float]:
    """How many values are smaller, plus half of the others that are equal; times two, so that all are whole numbers."""
    return [sum((other < value) * 2 + (other == value) for other in values) for value in values]


def _correlation(xs: Sequence[float], ys: Sequence[float]) -> float:
    x, y = fmean(xs), fmean(ys)
    covariance = sum((a - x) * (b - y) for a, b in zip(xs, ys))
    variances = sum((a - x) ** 2 for a in xs) * sum((b - y) ** 2 for b in ys)
    return covariance / variances**0.5 if variances else 0.0
