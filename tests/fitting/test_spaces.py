"""The graph of other numbers is what the constructor builds with them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shufflekit.compiling import capture
from shufflekit.cost import count
from shufflekit.cost.from_graph import count_graph
from shufflekit.fitting.spaces import Captured, Constructed, space_of
from shufflekit.models import build_model
from tests.graph.edits.test_widths import check

SHAPE = (1, 3, 64, 64)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("shufflenet_v2_x0_5", (64, 128, 256, 4, 8, 4, 1088)),
        ("shufflenet_v1_g3_x0_5", (144, 264, 504, 4, 8, 4)),
        ("mobilenet_v2_x0_4", (16, 16, 24, 32, 48, 72, 144, 1, 2, 3, 4, 3, 2, 1, 5, 3, 6, 4, 6, 7, 640)),
    ],
)
def test_widths_and_depths_are_those_of_the_constructor(name: str, values: tuple[int, ...]) -> None:
    model = build_model(name, num_classes=10).eval()
    space = space_of(model, SHAPE, capture(model, SHAPE))
    assert isinstance(space, Constructed)
    assert len(space.dials) == len(values)
    graph = space.graph(values)
    call, architecture, options = space.call(values)
    built = build_model(architecture, **options)
    assert count_graph(graph).flops == count(built, SHAPE).flops
    check(graph)
    assert call.startswith(f'build_model("{name}", num_classes=10, stage_channels=')
    assert repr(eval(call, {"build_model": build_model})) == repr(built)


def test_published_networks_are_of_the_same_kind_and_as_they_were_published() -> None:
    model = build_model("shufflenet_v2_x0_5", num_classes=10)
    space = Constructed(model, SHAPE, capture(model.eval(), SHAPE))
    found = space.published()
    assert list(found) == [f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")]
    values, make = found["shufflenet_v2_x1_0"]
    assert values == (116, 232, 464, 4, 8, 4, 1024)
    assert count_graph(make()).flops == count(build_model("shufflenet_v2_x1_0", num_classes=10), SHAPE).flops


def test_any_other_network_gets_a_factor_for_each_size_of_map() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 24, 3, 2, 1), nn.Conv2d(24, 8, 1), nn.Conv2d(8, 5, 1))
    graph = capture(net.eval(), SHAPE)
    space = space_of(net, SHAPE, graph)
    assert isinstance(space, Captured)
    assert [dial.name for dial in space.dials] == ["widths on 64x64, sixteenths", "widths on 32x32, sixteenths"]
    wider = space.graph((16, 32))
    assert [wider.values[node.output].sizes[0] for node in wider.nodes] == [16, 48, 16, 5]
    assert space.graph((16, 16)).values == graph.values
    assert (space.call((16, 32)), space.published()) == (("", "", {}), {})


def test_a_saved_network_with_other_numbers_loads_again(tmp_path) -> None:
    made = build_model("shufflenet_v2_x0_5", num_classes=3, stage_channels=(32, 64, 128), stage_units=(2, 3, 2))
    made.save_pretrained(tmp_path)
    again = type(made).from_pretrained(tmp_path)
    assert torch.equal(again.stage4[0].branch1[0].weight, made.stage4[0].branch1[0].weight)
    assert [len(again.get_submodule(stage)) for stage in again.stages] == [2, 3, 2]
