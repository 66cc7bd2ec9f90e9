"""Detectors: a backbone of the registry, a head, boxes; networks and training need torch, the way from maps to boxes not."""
