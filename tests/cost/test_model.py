"""What the model predicts, keeps and refuses."""

from __future__ import annotations

import json
import math

import pytest

from shufflekit.cost.model import CostModel
from shufflekit.cost.works import Work
from shufflekit.errors import InputError


def works(family: str, factor: float) -> list[tuple[Work, float]]:
    """Ten sizes of one family, each `factor` times its limit and the starting time."""
    return [(Work(family, (float(size), 1.0), 2.0**size), factor * (2.0**size + 2e-3)) for size in range(10)]


@pytest.fixture
def model() -> CostModel:
    return CostModel.through([*works("a", 2.0), *works("b", 5.0), *works("rare", 9.0)[:3]], "torch", 1, "here", between_ms=0.01)


def test_families_have_their_own_factors(model):
    assert model.predict_ms(Work("a", (4.5, 1.0), 10.0)) == pytest.approx(20, rel=0.05)
    assert model.predict_ms(Work("b", (4.5, 1.0), 10.0)) == pytest.approx(50, rel=0.05)


def test_an_unknown_family_gets_the_typical_factor(model):
    for work in (Work("new", (1.0,), 10.0), Work("rare", (1.0, 1.0), 10.0)):
        assert not model.knows(work)
        assert model.predict_ms(work) == pytest.approx(5.0 * 10.002)  # the middle of 2, 5 and 9


def test_a_network_is_its_operators_and_what_passes_between(model):
    some = [Work("a", (3.0, 1.0), 8.0), Work("b", (2.0, 1.0), 4.0), Work("new", (), 1.0)]
    assert model.predict_total_ms(some) == pytest.approx(sum(model.predict_each_ms(some)) + 0.03)
    assert model.predict_each_ms(some) == pytest.approx([model.predict_ms(work) for work in some])


def test_operators_that_take_longer_by_themselves_are_counted_less():
    model = CostModel("torch", 1, "here", {}, typical=0.0, between_ms=-1.0)
    assert model.pass_ms([5.0, 3.0, 4.0]) == 9.0
    assert model.pass_ms([1.0, 0.5, 0.5]) == 1.0


def test_json_reads_back(model):
    again = CostModel.from_json(model.to_json())
    some = [Work("a", (3.3, 1.0), 8.0), Work("b", (2.2, 1.0), 4.0), Work("new", (), 1.0)]
    assert again.predict_each_ms(some) == model.predict_each_ms(some)
    assert (again.engine, again.threads, again.machine, again.between_ms) == ("torch", 1, "here", 0.01)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ((), [], "it: must be an object, found a list of 0"),
        (("surfaces",), None, "surfaces: must be an object, found None"),
        (("typical",), math.nan, "typical: must be a number, found nan"),
        (("surfaces", "a", "values"), [math.nan] * 10, r"surfaces.a.values.0.: must be a number, found nan"),
        (("surfaces", "a", "values"), [1.0] * 9, "do not fit together"),
        (("surfaces", "a", "scales"), [1.0, 0.0], "scales and noise must be above 0"),
    ],
)
def test_another_file_is_refused_in_one_line(model, path, value, reason):
    found = json.loads(model.to_json())
    if not path:
        found = value
    else:
        place = found
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
    with pytest.raises(InputError, match=f"cost model: not readable.*{reason}"):
        CostModel.from_json(json.dumps(found))


def test_a_family_of_six_has_a_surface_of_its_own_and_one_of_five_has_none():
    model = CostModel.through([*works("six", 2.0)[:6], *works("five", 2.0)[:5]], "torch", 1, "here", between_ms=0.0)
    assert list(model.surfaces) == ["six"]


def test_of_many_points_those_that_are_kept_are_spread_over_all():
    many = [(Work("a", (place / 100,), 1.0), 1.0 + place / 1000) for place in range(1300)]
    points = CostModel.through(many, "torch", 1, "here", between_ms=0.0).surfaces["a"].points
    assert 400 <= len(points) <= 600
    assert points.max() - points.min() > 12.9
