"""What a network costs: counted here, and priced for a device."""

from shufflekit.cost.counts import Counts, LayerCount, count

__all__ = ["Counts", "LayerCount", "count"]
