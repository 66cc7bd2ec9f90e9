"""What a network costs, counted and timed."""

from shufflekit.profiling.engine import profile_engine
from shufflekit.profiling.latency import Latency, measure_in_turn, measure_latency
from shufflekit.profiling.profile import profile
from shufflekit.profiling.record import MeasuredLayer, MeasuredProfile, Profile

__all__ = [
    "Latency",
    "MeasuredLayer",
    "MeasuredProfile",
    "Profile",
    "measure_in_turn",
    "measure_latency",
    "profile",
    "profile_engine",
]
