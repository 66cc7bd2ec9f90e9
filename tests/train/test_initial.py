from __future__ import annotations

import torch

from shufflekit.models import build_model
from shufflekit.train.initial import draw_by_name


def weights(name: str, seed: int, **options: object) -> dict[str, torch.Tensor]:
    model = build_model(name, small_input=True, num_classes=10, **options)
    draw_by_name(model, seed)
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_layers_of_one_name_and_shape_start_alike() -> None:
    one, other = weights("shufflenet_v1_g3_x0_25", 1), weights("shufflenet_v1_g1_x0_25", 1)
    alike = [key for key in one if one[key].shape == other[key].shape and not key.startswith("fc")]  # of other widths
    assert {"conv1.0.weight", "conv1.1.running_mean"} <= set(alike)
    assert all(torch.equal(one[key], other[key]) for key in alike)


def test_seeds_and_layers_differ() -> None:
    one, other = weights("shufflenet_v1_g3_x0_25", 1), weights("shufflenet_v1_g3_x0_25", 2)
    drawn = [key for key in one if one[key].dim() > 1]
    assert not any(torch.equal(one[key], other[key]) for key in drawn)
    assert not torch.equal(one["stage2.1.conv1.weight"], one["stage2.2.conv1.weight"])


def test_weights_are_spread_as_torch_spreads_them() -> None:
    found = weights("shufflenet_v1_g1_x1_0", 0)["stage4.3.conv1.weight"]
    torch.manual_seed(0)
    plain = build_model("shufflenet_v1_g1_x1_0", num_classes=10).state_dict()["stage4.3.conv1.weight"]
    assert abs(float(found.std() / plain.std()) - 1) < 0.02
    assert float(found.abs().max()) <= found[0].numel() ** -0.5


def test_random_numbers_of_the_process_stay_where_they_were() -> None:
    model = build_model("shufflenet_v1_g1_x0_25")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    draw_by_name(model, 0)
    assert torch.equal(torch.rand(3), expected)
