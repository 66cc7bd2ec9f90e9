"""What labels are together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shufflekit.data.folder import FolderSource
from shufflekit.data.labels import MOST_CLASSES, empty_classes, labels_of, numbered_classes
from shufflekit.errors import InputError


def test_classes_are_numbered_up_to_the_largest_label():
    assert numbered_classes(np.array([3, 1]), "x") == ["0", "1", "2", "3"]
    assert len(numbered_classes([MOST_CLASSES - 1], "x")) == MOST_CLASSES
    for labels in ([0, MOST_CLASSES], [-1, 3]):
        with pytest.raises(InputError, match=f"data: x: labels must be .* 0 to 99999, found {labels[0]} to {labels[1]}"):
            numbered_classes(labels, "x")


def test_classes_without_images_are_named(tmp_path: Path):
    for name in ("ant/1.png", "bee/1.png", "bee/2.png", "cow/x.txt", "dog/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name, "PNG")
    source = FolderSource(tmp_path)
    assert labels_of(source, [2, 0]).tolist() == [1, 0]
    assert empty_classes(source, labels_of(source, range(3))) == ["cow", "dog"]
    assert empty_classes(source, labels_of(source, [1, 2])) == ["ant", "cow", "dog"]
