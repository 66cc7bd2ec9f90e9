"""The widths and depths of a kind of network that use a latency budget best on this machine."""

from shufflekit.fitting.fit import fit
from shufflekit.fitting.record import Candidate, Fit

__all__ = ["Candidate", "Fit", "fit"]
