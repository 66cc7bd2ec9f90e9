"""What a network costs, counted and timed."""

from shufflekit.profile.latency import Latency, measure_in_turn, measure_latency
from shufflekit.profile.profile import Profile, profile

__all__ = ["Latency", "Profile", "measure_in_turn", "measure_latency", "profile"]
