"""Races between runtimes on this machine: in turn, checked against PyTorch, with their spread."""
