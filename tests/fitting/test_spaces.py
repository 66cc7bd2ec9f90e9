"""The graph of other numbers is what the constructor builds with them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shufflekit.compiling import capture
from shufflekit.cost import count
from shufflekit.cost.from_graph import count_graph
from shufflekit.errors import UsageError
from shufflekit.fitting.spaces import Captured, Constructed, has_constructor
from shufflekit.models import build_model
from tests.graph.edits.test_widths import check

SHAPE = (1, 3, 64, 64)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("shufflenet_v2_x0_5", (32, 64, 128, 256, 1, 8, 3, 1088)),
        ("shufflenet_v1_g3_x0_5", (24, 144, 264, 504, 4, 2, 5)),
        ("mobilenet_v2_x0_75", (24, 16, 24, 32, 48, 72, 144, 272, 1, 1, 3, 4, 3, 2, 2, 5, 3, 6, 4, 6, 7, 640)),
    ],
)
def test_widths_and_depths_are_those_of_the_constructor(name: str, values: tuple[int, ...]) -> None:
    model = build_model(name, num_classes=10).eval()
    assert has_constructor(model)
    space = Constructed(model, SHAPE)
    assert len(space.dials) == len(values)
    graph = space.graph(values)
    call, architecture, options = space.call(values)
    built = build_model(architecture, **options)
    assert count_graph(graph).flops == count(built, SHAPE).flops
    check(graph)
    assert call.startswith(f'build_model("{name}", num_classes=10, stem_channels=')
    assert repr(eval(call, {"build_model": build_model})) == repr(built)


def test_published_networks_are_of_the_same_kind_and_as_they_were_published() -> None:
    model = build_model("shufflenet_v2_x0_5", num_classes=10)
    space = Constructed(model, SHAPE)
    found = space.published()
    assert list(found) == [f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")]
    values, make = found["shufflenet_v2_x1_0"]
    assert values == (24, 116, 232, 464, 4, 8, 4, 1024)
    assert count_graph(make()).flops == count(build_model("shufflenet_v2_x1_0", num_classes=10), SHAPE).flops


def test_stages_stay_wider_or_narrower_than_what_they_read() -> None:
    """A unit of stride 1 adds what it reads where that is as wide: the captured one does not."""
    space = Constructed(build_model("mobilenet_v2_x1_0", num_classes=10), SHAPE)
    base = tuple(dial.value for dial in space.dials)
    assert space.in_order(base)
    with pytest.raises(UsageError, match="stage_channels: each must be wider than what it reads"):
        space.graph((*base[:4], 96, *base[5:]))
    assert [space.goes(space.chain[1], 32, width) for width in (16, 32, 48)] == [True, False, False]


def test_published_ones_in_another_order_are_captured_as_they_are() -> None:
    space = Constructed(build_model("mobilenet_v2_x1_0", num_classes=10), SHAPE)
    values, make = space.published()["mobilenet_v2_x0_4"]
    assert not space.in_order(values)
    assert any(node.op == "add" and node.module == "features.1" for node in make().nodes)


def test_a_part_has_all_nodes_of_its_units() -> None:
    space = Constructed(build_model("shufflenet_v2_x0_5", num_classes=10), SHAPE)
    assert [(part.name, part.dials, part.repeats) for part in space.parts] == [
        ("head", (0,), None),
        ("first 0", (0, 1), None),
        ("rest 0", (1,), 4),
        ("first 1", (1, 2), None),
        ("rest 1", (2,), 5),
        ("first 2", (2, 3), None),
        ("rest 2", (3,), 6),
        ("tail", (3, 7), None),
    ]
    modules = {}
    for node in space._shallow.graph.nodes:
        modules.setdefault(space.part_of[node.output], set()).add(node.module.split(".branch")[0].split(".")[0:2][-1])
    assert modules["rest 1"] == {"1"}
    assert modules["first 1"] == {"0"}
    assert "fc" in modules["tail"]


def test_any_other_network_gets_a_factor_for_each_size_of_map() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 24, 3, 2, 1), nn.Conv2d(24, 8, 1), nn.Conv2d(8, 5, 1))
    graph = capture(net.eval(), SHAPE)
    assert not has_constructor(net)
    space = Captured(graph)
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
