"""`shufflekit demo`: a network at work on real photos, with what it costs here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def demo(
    *photos: Annotated[str, Parameter(allow_leading_hyphen=True)],
    out: Path = Path("out"),
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show a network at work on real photos, with its costs and its latency here.

    Online, ImageNet weights of ShuffleNet V2 1x are fetched once; offline, the ten-class weights that come with this package
    are used, and a photo of which they are not sure enough is called none of the ten classes.

    Args:
        photos: files, folders, or - for standard input; without any, photos that scikit-image ships.
        out: folder for the annotated picture, demo.png.
        json: print one object with everything that was found.
    """
    from shufflekit.cli._demo import run

    return run(photos, out, json)
