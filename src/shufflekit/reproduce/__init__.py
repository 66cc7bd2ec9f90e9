"""The papers' measurements, made again on this machine."""
