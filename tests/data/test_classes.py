"""The classes of a data set among those of a network: by name, by number, by place, or refused."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from shufflekit.data.classes import CIFAR10, Matched, class_names, match_classes
from shufflekit.errors import InputError

FRUIT = ["apple", "crab apple", "pear", "Pêche"]


def test_imagenet_names_are_distinct_and_in_order(shared_data: Path) -> None:
    names = class_names("imagenet")
    assert len(set(names)) == 1000
    listed = json.loads((shared_data / "imagenet_classes.json").read_text())
    assert all(name.startswith(entry["name"]) for name, entry in zip(names, listed, strict=True))


def test_imagenet_identifiers_are_those_of_the_names(shared_data: Path) -> None:
    listed = json.loads((shared_data / "imagenet_classes.json").read_text())
    wnids = [entry["wnid"] for entry in listed]
    assert match_classes(wnids, "imagenet", 1000) == Matched(tuple(range(1000)))
    assert match_classes([wnids[281], "golden_retriever", wnids[3]], "imagenet", 1000).labels == (281, 207, 3)


@pytest.mark.parametrize("data", [["bird", "cat", "dog", "ship"], ["truck", "airplane"], sorted(CIFAR10, reverse=True)])
def test_equal_names_are_matched_wherever_they_stand(data: list[str]) -> None:
    assert match_classes(data, "cifar10", 10) == Matched(tuple(CIFAR10.index(name) for name in data))


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (["Apple"], (0,)),
        (["crab_apple", "apple"], (1, 0)),
        (["CRAB-APPLE", " Pear "], (1, 2)),
        ([unicodedata.normalize("NFD", "Pêche")], (3,)),
        (["pear, Pyrus communis", "wild fruit, crab  apple"], (2, 1)),
    ],
)
def test_another_spelling_is_matched_and_said(data: list[str], labels: tuple[int, ...]) -> None:
    found = match_classes(data, FRUIT, 4, "basket")
    assert found.labels == labels
    assert f"{data[0]} is {FRUIT[labels[0]]}" in found.note
    other = sum(name not in FRUIT for name in data)
    assert f"{other} of {len(data)} classes {'is' if other == 1 else 'are'} spelt in another way" in found.note


def test_an_equal_name_goes_before_one_that_is_spelt_in_another_way() -> None:
    assert match_classes(["Cat", "cat"], ["cat", "Cat", "dog"], 3).labels == (1, 0)
    with pytest.raises(InputError, match="1 of 1 classes are none of net's"):  # either could be meant
        match_classes(["CAT"], ["cat", "Cat", "dog"], 3, "net")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["apple", "plum"], r"^data: 1 of 2 classes are none of basket's \(apple, crab apple, pear, ...\), found plum$"),
        (["a", "b", "c", "d"], "4 of 4 classes are none of basket's .* found a, b, c, ...$"),
        (["pear", "apple", "crab apple", "plum"], "1 of 4 classes are none of basket's"),  # not a renamed list: another order
        (["apple", "Apple"], "^data: apple and Apple are both apple, one class of basket$"),
        (["apple", "pear", "Pêche", "crab apple", "plum"], "must have at most the 4 classes of basket, found 5"),
    ],
)
def test_a_mismatch_is_refused(data: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        match_classes(data, FRUIT, 4, "basket")


def test_a_whole_list_with_some_other_names_is_taken_by_place_and_said() -> None:
    found = match_classes(["apple", "crabapple", "pear", "peach"], FRUIT, 4, "basket")
    assert found.labels == (0, 1, 2, 3)
    assert found.note == "data: 2 of 4 classes have other names than basket's: taken by their places (crabapple, peach)"


@pytest.mark.parametrize("classes", [None, "coco", ["one", "name"]])
def test_without_names_of_the_network_the_order_counts_and_that_is_said(classes: list[str] | str | None) -> None:
    found = match_classes(["pear", "apple"], classes, 4, "basket")
    assert found == Matched(
        (0, 1), "data: basket has no names of its classes: those of the data are taken in their order (pear, apple)"
    )


def test_classes_that_are_called_by_number_are_numbers() -> None:
    assert match_classes(["0", "1", "2"], None, 4) == Matched((0, 1, 2))
    in_order = match_classes(["0", "1"], FRUIT, 4, "basket")
    assert in_order == Matched((0, 1), "data: the classes are called 0, 1: taken as numbers of basket's classes")
    assert match_classes(["0", "1", "10", "11", "2"], None, 12).labels == (0, 1, 10, 11, 2)
    from_one = match_classes(["1", "2", "3", "4"], None, 4, "basket")
    assert from_one.labels == (0, 1, 2, 3)
    assert "taken in this order as the first of basket's" in from_one.note
    assert match_classes(["2", "10"], ["10", "2"], 2) == Matched((1, 0))  # names that the network has


def test_names_that_occur_twice_match_a_list_that_is_equal_and_nothing_else() -> None:
    twice = ["crane", "pear", "crane"]
    assert match_classes(twice, twice, 3) == Matched((0, 1, 2))
    with pytest.raises(InputError, match="found crane$"):
        match_classes(["crane"], twice, 3)
