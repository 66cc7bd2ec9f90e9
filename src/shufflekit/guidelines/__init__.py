"""Why a network is slow: the guidelines of ShuffleNet V2 as rules, each with its price on this device."""

from shufflekit.guidelines.audit import RULES, audit
from shufflekit.guidelines.record import Audit, Finding

__all__ = ["RULES", "Audit", "Finding", "audit"]
