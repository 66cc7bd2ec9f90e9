"""What the user's environment variables say, each read in one place."""

from __future__ import annotations

import os
from pathlib import Path

from shufflekit.errors import UsageError

_NO = ("", "0", "false", "no", "off")


def offline() -> bool:
    """Whether $SHUFFLEKIT_OFFLINE forbids the network; 0, false, no and off mean that it does not."""
    return os.environ.get("SHUFFLEKIT_OFFLINE", "").strip().lower() not in _NO


def cache_folder(part: str = "") -> Path:
    """Where downloads and measurements are kept: $SHUFFLEKIT_CACHE, else shufflekit/`part` in the user's cache folder.

    Raises:
        UsageError: there is no home folder to put it in, and no variable names another.
    """
    own = os.environ.get("SHUFFLEKIT_CACHE")
    try:
        if own:
            return Path(own).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "shufflekit" / part
    except RuntimeError:
        raise UsageError("SHUFFLEKIT_CACHE: must name a folder where the user has no home folder, found none") from None
