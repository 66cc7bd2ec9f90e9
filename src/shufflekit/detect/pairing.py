"""Photos and classes of whoever looks, found among the images and categories of an annotation file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from shufflekit.data.classes import finder
from shufflekit.detect.coco import Id, ImageTruth, Truth, plain_id
from shufflekit.errors import InputError, UsageError

_SHOWN = 5  # names in a message


def pair_photos(truth: Truth, photos: Sequence[str]) -> dict[str, ImageTruth]:
    """The listed image of each photo: the one of its name, and of several that whose folders are the photo's too.

    Raises:
        InputError: a photo that is not listed, or cannot be told from another listed one.
        UsageError: two photos that are one listed image.

    Example:
        >>> pair_photos(Truth("a.json", {}, (), (), ()), ["cat.jpg"])
        Traceback (most recent call last):
        shufflekit.errors.InputError: annotations: a.json does not list cat.jpg
    """
    by_name: defaultdict[str, list[ImageTruth]] = defaultdict(list)
    for image in truth.images:
        by_name[_parts(image.file_name)[-1]].append(image)
    pairs: dict[str, ImageTruth] = {}
    taken: dict[Id, str] = {}
    for photo in photos:
        image = _listed(truth, photo, by_name[_parts(photo)[-1]])
        if image.key in taken:
            raise UsageError(f"photos: {taken[image.key]} and {photo} are both {image.file_name} of {truth.path}; give it once")
        pairs[photo], taken[image.key] = image, photo
    return pairs


def _listed(truth: Truth, photo: str, candidates: Sequence[ImageTruth]) -> ImageTruth:
    if not candidates:
        raise InputError(f"annotations: {truth.path} does not list {_parts(photo)[-1]}")
    place = _parts(str(Path(photo).absolute()))
    depths = [_common_end(place, _parts(image.file_name)) for image in candidates]
    best = [image for image, depth in zip(candidates, depths) if depth == max(depths)]
    if len(best) > 1:
        listed = ", ".join(f"{image.file_name} (id {image.id})" for image in best[:_SHOWN])
        raise InputError(f"annotations: {truth.path} lists {len(best)} images that may be {photo}: {listed}")
    return best[0]


def _parts(path: str) -> tuple[str, ...]:
    """Of a path of any system."""
    return PurePosixPath(path.replace("\\", "/")).parts or (path,)


def _common_end(a: Sequence[str], b: Sequence[str]) -> int:
    return next((depth for depth, (x, y) in enumerate(zip(reversed(a), reversed(b))) if x != y), min(len(a), len(b)))


def pair_classes(truth: Truth, names: Sequence[str] | None, ids: Sequence[Id]) -> tuple[dict[int, Id], list[str]]:
    """The category of a file for each class of a detector: that of its name, or where it has none, of its id.

    Args:
        truth: the file.
        names: of the detector's classes, in their order; None where nobody said.
        ids: which the detector itself would give them.

    Returns:
        Category ids by class, without classes that the file does not list; and what there is to say.

    Raises:
        InputError: they have no class in common.
    """
    found = _by_id(truth, ids) if names is None else _by_name(truth, names, ids)
    pairs: dict[int, Id] = {}
    for number, category in zip(found, truth.category_ids):
        if number in pairs:
            both = f"categories {pairs[number]} and {category}"
            raise InputError(f"annotations: {truth.path}: {both} are one class of the detector")
        if number is not None:
            pairs[number] = category
    if not pairs:
        theirs, ours = _some(truth.classes), _some(names or [str(number) for number in ids])
        raise InputError(f"annotations: {truth.path}: none of its categories ({theirs}) is a class of the detector ({ours})")
    missing = [name for name, number in zip(truth.classes, found) if number is None]
    notes = []
    if missing:
        count = f"{len(missing)} of {len(truth.classes)} categories are none of the detector's classes"
        notes.append(f"{truth.path}: {count}, so that their objects count as missed: {_some(missing)}")
    if any(plain_id(ids[number]) != plain_id(category) for number, category in pairs.items()):
        notes.append(f"{truth.path}: its categories have other ids than the detector's classes: taken by their names")
    return pairs, notes


def _by_id(truth: Truth, ids: Sequence[Id]) -> list[int | None]:
    numbers = {plain_id(number): place for place, number in enumerate(ids)}
    return [numbers.get(plain_id(number)) for number in truth.category_ids]


def _by_name(truth: Truth, names: Sequence[str], ids: Sequence[Id]) -> list[int | None]:
    """Where id and name agree, it is that; else the one class of the name."""
    exact = {(plain_id(number), name): place for place, (number, name) in enumerate(zip(ids, names))}
    find = finder(list(names))
    pairs = zip(truth.category_ids, truth.classes)
    return [exact.get((plain_id(number), name), find(name)) for number, name in pairs]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
