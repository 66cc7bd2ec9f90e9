"""What a network costs, counted and timed."""

from shufflekit.profile.engine import profile_engine
from shufflekit.profile.latency import Latency, measure_in_turn, measure_latency
from shufflekit.profile.profile import profile
from shufflekit.profile.record import MeasuredLayer, MeasuredProfile, Profile

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
