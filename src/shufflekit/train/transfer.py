"""The classifier of the weights that a run starts from, where its classes are those of the data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from shufflekit.data.classes import class_names, match_classes
from shufflekit.errors import InputError
from shufflekit.models import Network
from shufflekit.train.log import Watcher


def known_classes(model: Network, weights: str | None) -> Sequence[str]:
    """The names of the classes that the classifier was trained for; none where nobody says.

    Args:
        model: as `create_model` gave it.
        weights: its file or tag; beside the file of a saved network lies a config.json that has them.
    """
    classes = (model.pretrained_cfg or {}).get("classes")
    if weights is not None and Path(weights).exists():
        path = Path(weights)
        config = (path if path.is_dir() else path.parent) / "config.json"
        try:
            classes = json.loads(config.read_text(encoding="utf-8"))["pretrained_cfg"]["classes"]
        except (OSError, ValueError, LookupError, TypeError):
            classes = None
    return [str(name) for name in class_names(classes)]


@torch.no_grad()
def keep_classes(model: Network, known: Sequence[str], classes: list[str], watcher: Watcher) -> None:
    """Puts the rows of a trained classifier in the data's order, or a new one in its place where the classes are others.

    Args:
        model: its classifier has as many outputs as the data has classes.
        known: what the outputs stand for now, where that is known.
        classes: the data's.
    """
    if len(known) != model.num_classes:
        return
    try:
        matched = match_classes(classes, known, model.num_classes, "the weights")
    except InputError as error:
        model.reset_classifier(len(classes))
        watcher.note(f"weights: the classifier starts anew, its classes are others ({error})")
        return
    if matched.note:
        watcher.note(matched.note)
    order = torch.tensor(matched.labels)
    for parameter in model.get_classifier().parameters():
        parameter.copy_(parameter[order])
