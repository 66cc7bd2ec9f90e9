"""Our own names, which for ShuffleNet V2 are torchvision's: what no other layout takes is tried as this one."""

from __future__ import annotations

from typing import Any

from shufflekit.weights.layouts._channel_order import State
from shufflekit.weights.layouts._layout import Converted, Layout, Options


def recognise(state: State) -> bool:
    return True


def options(state: State, current: Options) -> dict[str, Any]:
    return {}


def convert(state: State, current: Options) -> Converted:
    return Converted(state)


LAYOUT = Layout("plain", recognise, options, convert)
