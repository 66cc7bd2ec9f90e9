"""Rounds networks to bytes by what they compute of images; needs no torch."""

from shufflekit.quantize.quantize import quantize

__all__ = ["quantize"]
