"""`shufflekit detect`: what is on a photo, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from shufflekit.cli._output import notice, print_json, stdout
from shufflekit.cli._photos import Photos
from shufflekit.cli._plans import is_plan
from shufflekit.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shufflekit.detect.coco import Truth
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
        out: a folder for the photos with their boxes drawn.
        annotations: a COCO annotation file that lists the photos by name: results get its image_id, and its twelve numbers
            are printed; take --score 0.01 for those.
        json: print one list of COCO results, with file_name.
    """
    if not 0 < score < 1:
        raise UsageError(f"score: must be above 0 and below 1, found {score}")
    images = Photos(photos)
    truth = _truth(annotations)
    ids = {Path(image.file_name).name: image.id for image in truth.images} if truth else {}
    find = _detector(model, weights, engine)
    folder = _Pictures(out) if out else None
    results: list[dict[str, Any]] = []
    for name, photo in images:
        found = find(photo, score)
        if truth and Path(name).name not in ids:
            raise InputError(f"annotations: {annotations} does not list {Path(name).name}")
        image = {"image_id": ids[Path(name).name]} if truth else {}
        results += [{**image, "file_name": name, **one.to_coco(), "category": one.label} for one in found]
        if folder:
            from shufflekit.cli._draw_boxes import draw_boxes

            folder.add(name, draw_boxes(photo, found))
        if not json:
            stdout().print(_lines(name, found), markup=False, soft_wrap=True)
    if json:
        print_json(results)
    elif truth:
        from shufflekit.detect.evaluate import evaluate

        stdout().print(evaluate(truth, results).text, markup=False, soft_wrap=True)
    if folder:
        notice(f"{len(folder.names)} pictures in {out}")
    return 1 if images.failed else 0


def _truth(annotations: Path | None) -> Truth | None:
    if annotations is None:
        return None
    from shufflekit.detect.coco import read_truth

    return read_truth(annotations)


def _detector(model: str, weights: str | None, engine: str | None) -> PhotoDetector:
    from shufflekit.cli._detectors import native_detector, plan_detector, torch_detector

    if is_plan(model, weights, engine):
        return plan_detector(Path(model))
    from shufflekit.cli._networks import load_detector

    network = load_detector(model, weights)
    return native_detector(network) if engine == "native" else torch_detector(network)


def _lines(name: str, found: Sequence[Detection]) -> str:
    width = max((len(one.label) for one in found), default=0)
    rows = [
        f"{100 * one.score:6.1f} %  {one.label:{width}}  {one.box[0]:.0f},{one.box[1]:.0f} to {one.box[2]:.0f},{one.box[3]:.0f}"
        for one in found
    ]
    return "\n".join([name, *(rows or ["  nothing found"])])


class _Pictures:
    """Writes pictures into a folder, each under the name of its photo; two of the same name get a number.

    Raises:
        InputError: the folder cannot be made, or a picture not be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"out: {folder}: {error.strerror}") from None

    def add(self, photo: str, picture: Any) -> None:
        stem = Path(photo).stem
        name, number = f"{stem}.jpg", 1
        while name in self.names:
            number += 1
            name = f"{stem}-{number}.jpg"
        self.names.add(name)
        try:
            picture.save(self.folder / name, quality=92)
        except OSError as error:
            raise InputError(f"{self.folder / name}: cannot be written: {error.strerror or error}") from None
