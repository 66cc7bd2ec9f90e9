"""What this machine can do at most: multiply-adds a second, bytes a second, and what it is."""

from shufflekit.device.cache import load_device
from shufflekit.device.measure import measure_device
from shufflekit.device.record import Cache, CopyRate, Device, PeakRate, Rate
from shufflekit.environment import cache_folder

__all__ = ["Cache", "CopyRate", "Device", "PeakRate", "Rate", "cache_folder", "load_device", "measure_device"]
