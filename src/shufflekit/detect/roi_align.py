"""Region-of-interest align, plain and position-sensitive: what lies in a region of a map, at a fixed size.

Both are one weighted sum of four pixels for each sample, so that one `embedding_bag` makes all regions at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def roi_align(maps: Tensor, regions: Tensor, images: Tensor, size: tuple[int, int], stride: float, samples: int = 2) -> Tensor:
    """Averages of bilinear samples in the bins of each region.

    The pixel in row i and column j of a map stands for the point ((j + 1/2) stride, (i + 1/2) stride) of the input, the middle
    of the square that it covers ("aligned": nothing is rounded and nothing is half a pixel off). A region is divided into
    size[0] x size[1] equal bins, and a bin into samples x samples equal cells, in whose middles the map is sampled, as often
    in a large region as in a small one. Between pixels a sample is bilinear; up to one pixel beyond the middles of the
    outermost pixels it takes their value; farther out it is 0. A region without area is one point.

    Args:
        maps: (N, C, H, W); gradients go to it, and to nothing else.
        regions: (K, 4) left, top, right, bottom in pixels of the input.
        images: (K,) the image of each region, 0 to N - 1.
        size: height and width of the result.
        stride: input pixels a map pixel.
        samples: a side of a bin.

    Returns:
        (K, C, size[0], size[1]).

    Source:
        He et al., "Mask R-CNN", 2017, section 3.

    Example:
        >>> ramp = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16)  # a pixel's value is its column
        >>> roi_align(ramp, torch.tensor([[16.0, 0, 80, 128]]), torch.tensor([0]), (1, 2), stride=8.0).tolist()
        [[[[3.5, 7.5]]]]
    """
    channels, height, width = maps.shape[1:]
    places, weights = _samples(regions, size, stride, samples, (height, width))  # (K, bins, 4 * samples^2)
    table = maps.permute(0, 2, 3, 1).reshape(-1, channels)  # (N * H * W, C)
    rows = places + images[:, None, None] * (height * width)
    found = _weighted_sum(table, rows, weights)
    return found.view(len(regions), *size, channels).permute(0, 3, 1, 2)  # (K, C, h, w)


def position_sensitive_roi_align(
    maps: Tensor, regions: Tensor, images: Tensor, size: tuple[int, int], stride: float, samples: int = 2
) -> Tensor:
    """Like `roi_align`, but each bin has channels of its own: that in row i and column j reads channel (c, i, j) of C x h x w.

    Args:
        maps: (N, C * size[0] * size[1], H, W).
        regions, images, size, stride, samples: as in `roi_align`.

    Returns:
        (K, C, size[0], size[1]).

    Source:
        Dai et al., "R-FCN", 2016; Li et al., "Light-Head R-CNN", 2017, with ROI align's samples.

    Example:
        >>> maps = torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 8, 8)  # each map has its number everywhere
        >>> position_sensitive_roi_align(maps, torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([0]), (2, 2), stride=1.0).tolist()
        [[[[0.0, 1.0], [2.0, 3.0]]]]
    """
    count, _, height, width = maps.shape
    bins = size[0] * size[1]
    places, weights = _samples(regions, size, stride, samples, (height, width))
    table = maps.view(count, -1, bins, height, width).permute(0, 3, 4, 2, 1).flatten(0, 3)  # (N * H * W * bins, C)
    rows = places + images[:, None, None] * (height * width)
    rows = rows * bins + torch.arange(bins, device=maps.device)[:, None]
    found = _weighted_sum(table, rows, weights)
    return found.view(len(regions), *size, table.shape[1]).permute(0, 3, 1, 2)  # (K, C, h, w)


def _weighted_sum(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """The sum of the rows of each bag: (bags, C)."""
    return F.embedding_bag(rows.flatten(0, 1), table, mode="sum", per_sample_weights=weights.flatten(0, 1).to(table.dtype))


@torch.no_grad()
def _samples(
    regions: Tensor, size: tuple[int, int], stride: float, samples: int, map_size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Which pixels a bin is made of, and how much of each: (K, bins, 4 * samples^2) both, pixels row by row."""
    (rows, of_rows), (columns, of_columns) = (
        _along(regions[:, axis], regions[:, axis + 2], size[1 - axis], stride, samples, map_size[1 - axis]) for axis in (1, 0)
    )
    places = rows[:, :, None, :, None] * map_size[1] + columns[:, None, :, None, :]  # (K, h, w, 2 * samples, 2 * samples)
    weights = of_rows[:, :, None, :, None] * of_columns[:, None, :, None, :]
    return places.flatten(3).flatten(1, 2), weights.flatten(3).flatten(1, 2)


def _along(start: Tensor, end: Tensor, bins: int, stride: float, samples: int, length: int) -> tuple[Tensor, Tensor]:
    """The same along one axis: (K, bins, 2 * samples) pixels and their shares of a bin."""
    middles = (torch.arange(bins * samples, device=start.device, dtype=start.dtype) + 0.5) / (bins * samples)
    at = (start[:, None] + (end - start)[:, None] * middles) / stride - 0.5  # (K, bins * samples)
    inside = (at >= -1) & (at <= length)
    at = at.clamp(0, length - 1)
    below = at.floor().clamp(max=max(0, length - 2))
    share = at - below
    both = torch.stack((below, (below + 1).clamp(max=length - 1)), -1).long()
    weights = torch.stack((1 - share, share), -1) * (inside.to(at.dtype) / samples)[..., None]
    return both.view(len(start), bins, 2 * samples), weights.view(len(start), bins, 2 * samples)
