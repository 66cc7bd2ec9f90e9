"""Loads and runs programs, without torch."""

from shufflekit.runtime.engine import Engine, StepTime, load

__all__ = ["Engine", "StepTime", "load"]
