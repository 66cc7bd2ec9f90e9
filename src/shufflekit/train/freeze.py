"""A backbone that stays as it is while the classifier is trained."""

from __future__ import annotations

from torch import nn

from shufflekit.models import Network


def freeze_backbone(model: Network) -> None:
    """Leaves the classifier, the last layer with weights, as the only part that is trained.

    Example:
        >>> from shufflekit.models import build_model
        >>> net = build_model("shufflenet_v2_x0_5", num_classes=10)
        >>> freeze_backbone(net)
        >>> [name for name, parameter in net.named_parameters() if parameter.requires_grad]
        ['fc.weight', 'fc.bias']
    """
    model.requires_grad_(False)
    model.get_classifier().requires_grad_(True)


def train_mode(model: nn.Module) -> None:
    """Training mode, but for norms none of whose parameters is trained: their statistics stay too, as their weights do."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and own and not any(p.requires_grad for p in own):
            module.eval()
