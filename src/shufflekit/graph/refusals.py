"""What a network has and the engine lacks, collected so that one message names all of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from shufflekit.errors import UsageError


class Refusals:
    """Operators that were refused, by reason, with the modules that call them.

    Example:
        >>> refusals = Refusals()
        >>> for module in ("head.0", "head.1"):
        ...     refusals.add("erf", module)
        >>> refusals.check()
        Traceback (most recent call last):
            ...
        shufflekit.errors.UsageError: compile: operator erf (2 times, in head.0, head.1) is not supported
    """

    def __init__(self) -> None:
        self._modules: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, operator: str, module: str, reason: str = "") -> None:
        """An operator, or with a reason only this use of it."""
        self._modules[operator, reason].append(module)

    def include(self, others: Refusals) -> None:
        """Adds what others have found."""
        for (operator, reason), modules in others._modules.items():
            self._modules[operator, reason] += modules

    @property
    def text(self) -> str:
        """All there are in one line; nothing where there are none."""
        found = {key: f"{key[0]} ({_places(modules)})" for key, modules in self._modules.items()}
        missing = [text for (_, reason), text in found.items() if not reason]
        wrong = [f"{text}: {reason}" for (_, reason), text in found.items() if reason]
        if missing:
            words = ("operator", "is") if len(missing) == 1 else ("operators", "are")
            wrong.insert(0, f"{words[0]} {', '.join(missing)} {words[1]} not supported")
        return "; ".join(wrong)

    def check(self) -> None:
        """Raises a UsageError that names all there are."""
        if self.text:
            raise UsageError(f"compile: {self.text}")


def _places(modules: Sequence[str]) -> str:
    """How often, and where."""
    different = list(dict.fromkeys(modules))
    shown = ", ".join(different[:3]) + (f" and {len(different) - 3} more" if len(different) > 3 else "")
    return f"in {shown}" if len(modules) == 1 else f"{len(modules)} times, in {shown}"
