"""A network by name, with random, published or saved weights."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from shufflekit.errors import UsageError, kind_and_line
from shufflekit.files import has_drive, is_place
from shufflekit.models import FeatureNet, Network, build_model
from shufflekit.models._saved import check_saved, read_safetensors, repository, saved_cfg, saved_files
from shufflekit.weights.checkpoints import Checkpoint, find_checkpoint
from shufflekit.weights.download import checkpoint_path
from shufflekit.weights.load import load_weights
from shufflekit.weights.pretrained_cfg import default_cfg
from shufflekit.weights.saved import from_pretrained

_log = logging.getLogger("shufflekit")


def create_model(
    name: str | Path,
    pretrained: bool | str | Path = False,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    features_only: bool = False,
    out_indices: tuple[int, ...] | None = None,
    **options: Any,
) -> Network | FeatureNet:
    """Builds a network.

    Args:
        name: a registry name, or a saved network, whose weights are loaded: a folder, or hf-hub:owner/name.
        pretrained: True for the network's first published weights, a tag ("imagenet", "cifar10", "imagenet.pytorchcv")
            for those, or a file of weights in any layout that `load_weights` knows.
        num_classes: 1000 or the checkpoint's by default; with another number the classifier stays random.
        in_chans: input channels, 3 by default; pretrained stems are summed or repeated for another number.
        features_only: return the intermediate maps in place of class scores.
        out_indices: which entries of `feature_info` to return, with `features_only`; all by default.
        options: of the network's constructor; they go before those that the checkpoint was trained with.

    Returns:
        The network in training mode, with `pretrained_cfg`.

    Raises:
        UsageError: an unknown name, tag or option.
        WeightsError: weights that cannot be had or do not fit.

    Example:
        >>> net = create_model("shufflenet_v2_x0_5", num_classes=10, small_input=True)
        >>> net.pretrained_cfg["input_size"], net.pretrained_cfg["num_classes"]
        ((3, 32, 32), 10)
    """
    if num_classes is not None:
        options["num_classes"] = num_classes
    if in_chans is not None:
        options["in_chans"] = in_chans
    transfer = num_classes is not None or in_chans is not None
    form: dict[str, Any] = {"features_only": features_only, "out_indices": out_indices}

    place = saved_place(name)
    if place is not None:
        if pretrained is not False:
            raise UsageError(f"pretrained: {name} is a saved network and brings its weights, found {pretrained!r}")
        config, path = saved_files(place)
        check_saved(build_model, config, read_safetensors(path), path)
        model = build_model(config["architecture"], **form, **config["options"] | options)
        load_weights(model, path, transfer=transfer)
        model.pretrained_cfg = config["pretrained_cfg"]
    elif pretrained is False:
        model = build_model(str(name), **form, **options)
    elif pretrained is not True and _is_file(pretrained):
        model = build_model(str(name), **form, **options)
        report = load_weights(model, pretrained, transfer=transfer)
        if report.left:
            left = ", ".join(dict.fromkeys(one.split(".")[0] for one in report.left))
            what = "tensors stay random, which are not in the file or do not fit"
            _log.warning("%s: %d %s: %s", pretrained, len(report.left), what, left)
    else:
        model = _from_checkpoint(find_checkpoint(str(name), str(pretrained) if pretrained is not True else True), form, options)
    cfg = default_cfg(model) | (model.pretrained_cfg or {})
    model.pretrained_cfg = saved_cfg(cfg, model.options.get("num_classes"))
    return model


def _from_checkpoint(checkpoint: Checkpoint, form: dict[str, Any], options: dict[str, Any]) -> Network | FeatureNet:
    path = checkpoint_path(checkpoint)
    model = build_model(checkpoint.architecture, **form, **dict(checkpoint.options) | options)
    load_weights(model, path, transfer=True)
    model.pretrained_cfg = checkpoint.cfg()
    return model


def saved_place(name: str | Path) -> str | Path | None:
    """The folder, or repository on the hub, of a saved network; None for a registry name."""
    if repository(name) is not None:
        return name
    path = Path(name).expanduser()
    return path if isinstance(name, Path) or path.is_dir() or is_place(name) else None


def _is_file(pretrained: str | Path) -> bool:
    return isinstance(pretrained, Path) or Path(pretrained).exists() or is_place(pretrained)


def resolve_model(text: str) -> nn.Module:
    """The network that MODEL names on the command line: a registry name, a saved network, or package.module:callable.

    Raises:
        UsageError: it is none of them.
        WeightsError: a saved network that cannot be loaded.

    Example:
        >>> resolve_model("shufflekit.models.shufflenet_v2:Unit") # doctest: +ELLIPSIS
        Traceback (most recent call last):
        shufflekit.errors.UsageError: shufflekit.models.shufflenet_v2:Unit: calling it failed: ...
    """
    module_name, colon, attribute = text.partition(":")
    if colon and not has_drive(text) and repository(text) is None and not Path(text).exists():
        return _called(module_name, attribute, text)
    place = saved_place(text)
    return create_model(text) if place is None else from_pretrained(place)


def _called(module_name: str, attribute: str, text: str) -> nn.Module:
    """What package.module:callable is or returns; the current folder counts as a place of modules, as with `python -m`."""
    sys.path.insert(0, "")
    try:
        found: Any = _imported(module_name, attribute, text)
        model = found if isinstance(found, nn.Module) else found()
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # it runs what somebody else wrote
        raise UsageError(f"{text}: calling it failed: {kind_and_line(error)}") from error
    finally:
        sys.path.remove("")
    if not isinstance(model, nn.Module):
        raise UsageError(f"{text}: must give a torch.nn.Module, found a {type(model).__name__}")
    return model


def _imported(module_name: str, attribute: str, text: str) -> Any:
    if not all(part.isidentifier() for name in (module_name, attribute) for part in name.split(".")):
        raise UsageError(f"{text}: must be package.module:callable, as in mypackage.networks:small")
    try:
        found: Any = import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{text}: cannot be imported: {kind_and_line(error)}") from error
    return found
