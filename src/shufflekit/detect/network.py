"""What every detector has in common: a backbone of the registry, maps of raw outputs, and saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from shufflekit.errors import UsageError, WeightsError
from shufflekit.models import FeatureNet, build_model
from shufflekit.models._fill import fill, misfits, summary
from shufflekit.models._network import check_at_least, check_input
from shufflekit.models._saved import read_safetensors, write_saved


class Detector(nn.Module):
    """A backbone's maps in, raw maps of logits out; `detect/decode.py` makes boxes of them. As it is, in one stage.

    Args:
        backbone: a registry name; its weights start random.
        reductions: the maps to take, by input side over map side.
        num_classes: 1 or more.
        backbone_options: of the backbone's constructor.

    Attributes:
        detection: how its maps are to be read, as plain data.

    Raises:
        UsageError: a backbone that is unknown or lacks a map, or no class.
    """

    backbone: FeatureNet
    detection: dict[str, Any]
    pretrained_cfg: dict[str, Any] | None = None

    def __init__(self, backbone: str, reductions: tuple[int, ...], num_classes: int, backbone_options: dict[str, Any]) -> None:
        super().__init__()
        check_at_least("num_classes", num_classes, 1)
        self.architecture = type(self).__name__
        self.options: dict[str, Any] = {}
        self.num_classes = num_classes
        whole = build_model(backbone, features_only=True, **backbone_options)
        have = whole.feature_info.reduction()
        if missing := [r for r in reductions if r not in have]:
            raise UsageError(f"backbone: {backbone} has maps of 1/{', 1/'.join(map(str, have))}, needed 1/{missing[0]}")
        deepest = tuple(len(have) - 1 - have[::-1].index(r) for r in reductions)
        self.backbone = build_model(backbone, features_only=True, out_indices=deepest, **backbone_options)  # type: ignore[assignment]

    def raw(self, maps: list[Tensor]) -> list[Tensor]:
        """Feature maps to raw outputs (N, C, h, w), one for each of its strides."""
        raise AssertionError("a detector writes its head")

    def forward(self, x: Tensor) -> list[Tensor]:
        """Raw outputs.

        Args:
            x: (N, 3, H, W), H and W multiples of its largest reduction.

        Raises:
            InputError: another rank, number of channels or size.
        """
        check_input(x, self.backbone.in_chans, self.backbone.min_input_size, self.architecture)
        step = self.backbone.feature_info.reduction()[-1]
        if x.shape[2] % step or x.shape[3] % step:
            raise UsageError(f"{self.architecture}: sides must be multiples of {step}, found {x.shape[2]}x{x.shape[3]}")
        return self.raw(self.backbone(x))

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes model.safetensors and config.json; `create_detector` loads the folder.

        Raises:
            InputError: the folder cannot be written; what it had is as before.
        """
        config = {"architecture": self.architecture, "options": self.options, "pretrained_cfg": self.pretrained_cfg}
        write_saved(folder, self, config, half=False)

    def fill(self, state: dict[str, Tensor], name: str) -> None:
        """Copies tensors of our own names in; all must fit.

        Raises:
            WeightsError: they do not; the detector is as before.
        """
        if problems := misfits(state, self.state_dict()):
            raise WeightsError(f"{name}: does not fit {self.architecture}: {summary(problems)}")
        fill(self, state, name)

    def fill_from(self, path: Path) -> None:
        """The same, from a safetensors file."""
        self.fill(read_safetensors(path), str(path))
