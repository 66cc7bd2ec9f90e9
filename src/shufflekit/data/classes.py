"""What a network's classes are called, and which of them the classes of a data set are; loads no torch."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from shufflekit.errors import InputError

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SHOWN = 3  # names in a message


def class_names(classes: str | Sequence[str] | None) -> Sequence[str]:
    """The names behind `pretrained_cfg["classes"]`: those themselves, or "imagenet" or "cifar10"; empty if unknown.

    Source:
        ImageNet's class list, one name a class, four of them told apart by a word in brackets.

    Example:
        >>> class_names("imagenet")[281], class_names("cifar10")[3], class_names(["a", "b"])
        ('tabby', 'cat', ['a', 'b'])
    """
    if classes == "imagenet":
        return _lines("imagenet_classes.txt")
    if classes == "cifar10":
        return CIFAR10
    return [str(name) for name in classes] if isinstance(classes, list | tuple) else ()


@dataclass(frozen=True)
class Matched:
    """Which of a network's classes the classes of a data set are.

    Attributes:
        labels: for each class of the data, the network's number.
        note: how they were matched, where that is not by equal names; else empty.
    """

    labels: tuple[int, ...]
    note: str = ""


def match_classes(
    data: Sequence[str], classes: str | Sequence[str] | None, outputs: int, network: str = "the network"
) -> Matched:
    """Finds the classes of a data set among those of a network: by name where both have names, else by number or place.

    Equal names come first, then ImageNet's identifiers (n01440764), then names that differ in case, spaces, hyphens or
    underscores alone; of several names with commas between, one is enough. Classes called 0, 1, 2 have no names.

    Args:
        data: names of the data's classes, in label order.
        classes: `pretrained_cfg["classes"]` of the network.
        outputs: how many scores the network gives.
        network: what a message calls it.

    Raises:
        InputError: more classes than the network has, or one that it does not have, or two that are one of its.

    Example:
        >>> match_classes(["dog", "Cat"], "cifar10", 10)
        Matched(labels=(5, 3), note='data: 1 of 2 classes is spelt in another way: Cat is cat')
    """
    if len(data) > outputs:
        raise InputError(f"data: must have at most the {outputs} classes of {network}, found {len(data)}")
    names = [str(name) for name in class_names(classes)]
    if list(data) == names:
        return Matched(tuple(range(len(data))))
    if data and all(re.fullmatch("[0-9]+", name) for name in data) and not set(data) & set(names):
        return _by_number(data, bool(names), outputs, network)
    if len(names) != outputs:
        note = f"data: {network} has no names of its classes: those of the data are taken in their order ({_listed(data)})"
        return Matched(tuple(range(len(data))), note)
    return _by_name(data, names, network)


def _by_number(data: Sequence[str], named: bool, outputs: int, network: str) -> Matched:
    numbers, places = tuple(map(int, data)), tuple(range(len(data)))
    if len(set(numbers)) < len(numbers) or max(numbers) >= outputs:
        return Matched(places, f"data: the classes are called {_listed(data)}: taken in this order as the first of {network}'s")
    if numbers == places and not named:
        return Matched(numbers)
    return Matched(numbers, f"data: the classes are called {_listed(data)}: taken as numbers of {network}'s classes")


def _by_name(data: Sequence[str], names: list[str], network: str) -> Matched:
    find = finder(names)
    found = [find(name) for name in data]
    known = {place: number for place, number in enumerate(found) if number is not None}
    if len(set(known.values())) < len(known):
        twice = next(number for number in known.values() if list(known.values()).count(number) > 1)
        same = [data[place] for place, number in known.items() if number == twice]
        raise InputError(f"data: {' and '.join(same)} are both {names[twice]}, one class of {network}")
    unknown = [name for name, number in zip(data, found) if number is None]
    if unknown and not (len(data) == len(names) and known and all(place == number for place, number in known.items())):
        raise InputError(
            f"data: {len(unknown)} of {len(data)} classes are none of {network}'s ({_listed(names)}), found {_listed(unknown)}"
        )
    if unknown:  # the others stand at their places, as in other lists of ImageNet's names
        note = f"{len(unknown)} of {len(data)} classes have other names than {network}'s: taken by their places"
        return Matched(tuple(range(len(data))), f"data: {note} ({_listed(unknown)})")
    labels = tuple(known.values())
    other = [(name, names[label]) for name, label in zip(data, labels) if name != names[label] and not _is_wnid(name)]
    if not other:
        return Matched(labels)
    verb = "is" if len(other) == 1 else "are"
    listed = _listed([f"{name} is {right}" for name, right in other])
    return Matched(labels, f"data: {len(other)} of {len(data)} classes {verb} spelt in another way: {listed}")


def finder(names: list[str]) -> Callable[[str], int | None]:
    """The number of the one name that is meant; None where there is none, or are several."""
    exact, spelt = _numbers(names), _numbers([_plain(name) for name in names])
    if names == class_names("imagenet"):
        exact = {**_numbers(_lines("imagenet_wnids.txt")), **exact}

    def find(name: str) -> int | None:
        if name in exact:
            return exact[name]
        return next((spelt[part] for part in map(_plain, (name, *name.split(","))) if part in spelt), None)

    return find


def _numbers(names: Sequence[str]) -> dict[str, int]:
    """The place of each name that occurs once."""
    often = Counter(names)
    return {name: number for number, name in enumerate(names) if often[name] == 1}


def _plain(name: str) -> str:
    """A name as it is compared: composed letters, small, and a space for spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name)).strip().casefold()


def _is_wnid(name: str) -> bool:
    return re.fullmatch("n[0-9]{8}", name) is not None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _lines(file: str) -> list[str]:
    return files("shufflekit.data").joinpath(file).read_text(encoding="utf-8").splitlines()
