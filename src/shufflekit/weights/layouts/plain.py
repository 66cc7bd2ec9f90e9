"""Our own names, which for ShuffleNet V2 are torchvision's: what no other layout takes is tried as this one."""

from __future__ import annotations

from shufflekit.weights.layouts._channel_order import State
from shufflekit.weights.layouts._layout import Converted, Layout, Options


class Plain(Layout):
    name = "plain"

    def recognise(self, state: State) -> bool:
        return True

    def convert(self, state: State, current: Options) -> Converted:
        return Converted(state)
