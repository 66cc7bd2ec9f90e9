"""`shufflekit detect`: what is on a photo, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from shufflekit.cli._model import NETWORK, read_model
from shufflekit.cli._output import notice, print_json, printable, stdout
from shufflekit.cli._photos import Photos
from shufflekit.data.images import BrokenImageError
from shufflekit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shufflekit.cli._against import Against
    from shufflekit.cli._pictures import Pictures
    from shufflekit.detect.photo_detector import Detection, PhotoDetector


def detect(
    *photos: Annotated[str, Parameter(allow_leading_hyphen=True)],
    model: str = "nanodet_m_shufflenet_v2_x1_0",
    weights: str | None = None,
    engine: Literal["torch", "native"] | None = None,
    score: float = 0.3,
    out: Path | None = None,
    annotations: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Find objects on photos.

    Without --weights a detector of the registry gets its published COCO weights, which are downloaded once; a saved detector
    has its own. A photo that cannot be read is a line on stderr, the others still run, and the exit code is 1.

    Args:
        photos: files, folders (the images directly inside, in natural order), or - for standard input.
        model: nanodet_m_shufflenet_v2_x1_0, nanodet_m_shufflenet_v2_x0_5, fastestdet; nanodet_m_, fastestdet_, faster_rcnn_ or
            light_head_rcnn_ and a backbone's name, with --weights; a folder that `shufflekit train --task detect` wrote; or a
            plan that `shufflekit compile` wrote, which needs no PyTorch.
        weights: a tag ("coco"), or a file: NanoDet-m's ONNX, FastestDet's .pth, or our own.
        engine: what runs the network: torch, or native, which compiles it first; a plan is native.
        score: least score of a box, above 0 and below 1.
        out: a folder for the photos with their boxes drawn. A picture takes its photo's name, or a number behind it where a
            file has that; only pictures of an earlier call are replaced.
        annotations: a COCO annotation file that lists the photos by name: results get its ids and its frame (EXIF), and its
            twelve numbers over the photos given are printed; take --score 0.01 for those.
        json: print one list of COCO results, with file_name.
    """
    if not 0 < score < 1:
        raise UsageError(f"score: must be above 0 and below 1, found {score}")
    images = Photos(photos)
    find = _detector(model, weights, engine)
    against = _against(annotations, images, find) if annotations else None
    pictures = _pictures(out, images) if out else None
    results: list[dict[str, Any]] = []
    for name, photo in images:
        found = find(photo, score)
        try:
            results += against.results(name, photo, found) if against else _results(name, found)
        except BrokenImageError as error:
            images.refuse(error)
            continue
        if pictures:
            from shufflekit.cli._draw_boxes import draw_boxes

            pictures.add(Path(name).stem, ".jpg", draw_boxes(photo, found), quality=92)
        if not json:
            stdout().print(_lines(name, found), markup=False, soft_wrap=True)
    if json:
        print_json(results)
    elif against:
        stdout().print(against.scores(), markup=False, soft_wrap=True)
    if pictures:
        moved = f", with a number where another file had the name: {', '.join(pictures.moved)}" if pictures.moved else ""
        notice(f"{len(pictures.names)} pictures in {out}{moved}")
    return 1 if images.failed else 0


def _against(annotations: Path, images: Photos, find: PhotoDetector) -> Against:
    from shufflekit.cli._against import Against

    return Against(annotations, images.names, find)


def _pictures(out: Path, images: Photos) -> Pictures:
    from shufflekit.cli._pictures import Pictures

    return Pictures(out, images.names)


def _detector(model: str, weights: str | None, engine: str | None) -> PhotoDetector:
    from shufflekit.detect.runners import engine_detector, native_detector, torch_detector

    source = read_model(model, "detect", (*NETWORK, "plan"), weights, engine)
    if not source.is_network:
        return engine_detector(source.engine(1), model)
    from shufflekit.cli._networks import load_detector

    network = load_detector(model, weights)
    return native_detector(network) if engine == "native" else torch_detector(network)


def _results(name: str, found: Sequence[Detection]) -> list[dict[str, Any]]:
    return [{"file_name": name, **one.to_coco(), "category": one.label} for one in found]


def _lines(name: str, found: Sequence[Detection]) -> str:
    width = max((len(one.label) for one in found), default=0)
    rows = [
        f"{100 * one.score:6.1f} %  {one.label:{width}}  {one.box[0]:.0f},{one.box[1]:.0f} to {one.box[2]:.0f},{one.box[3]:.0f}"
        for one in found
    ]
    return "\n".join([printable(name), *(rows or ["  nothing found"])])
