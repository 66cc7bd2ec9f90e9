"""Loads and runs compiled networks; imports no torch."""

from shufflekit.runtime.engine import Engine, load
from shufflekit.runtime.engine_profile import EngineProfile, StepProfile

__all__ = ["Engine", "EngineProfile", "StepProfile", "load"]
