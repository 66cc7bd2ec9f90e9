from __future__ import annotations

import numpy as np
import pytest

import shufflekit as sk
from shufflekit.detect.create import create_detector
from shufflekit.detect.runners import engine_detector, native_detector, torch_detector
from shufflekit.errors import InputError
from shufflekit.models import build_model


def test_pytorch_and_the_engine_see_the_same_and_leave_the_network_as_it_was() -> None:
    network = create_detector("fastestdet", num_classes=2)
    network.pretrained_cfg["input_size"] = (3, 64, 64)
    network.eval().backbone.train()
    before = [module.training for module in network.modules()]
    photo = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    found, same = (run(network)(photo, 0.01) for run in (torch_detector, native_detector))
    assert [module.training for module in network.modules()] == before
    # Sorted, since those of nearly the same score may change places.
    first, second = (
        sorted(((one.index, *one.box) for one in each), key=lambda one: np.round(one).tolist()) for each in (found, same)
    )
    np.testing.assert_allclose(first, second, atol=0.1)
    assert found


def test_a_plan_of_bytes_sees_the_same_to_the_bit() -> None:
    network = create_detector("nanodet_m_shufflenet_v2_x0_5", num_classes=2)
    network.pretrained_cfg["input_size"] = (3, 64, 64)
    photo = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    engines = [sk.compile(network, (1, 3, 64, 64), input=kind) for kind in ("float32", "uint8")]
    found, same = (engine_detector(engine, "a.plan")(photo, 0.01) for engine in engines)
    assert found == same
    assert found


def test_the_plan_of_something_else_is_refused() -> None:
    engine = sk.compile(build_model("shufflenet_v2_x0_5", num_classes=2, small_input=True), (1, 3, 32, 32))
    with pytest.raises(InputError, match=r"^a.plan: must be the plan of a detector, found that of shufflenet_v2_x0_5$"):
        engine_detector(engine, "a.plan")
