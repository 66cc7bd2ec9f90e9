from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from shufflekit.detect.create import create_detector
from shufflekit.train.unfold import unfold_norms


def folded_pair() -> tuple[nn.Module, list[torch.Tensor]]:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1, bias=False), nn.BatchNorm2d(4)
    )
    for norm in (network[1], network[4]):
        nn.init.normal_(norm.bias)  # type: ignore[arg-type]
    return network.eval(), [torch.randn(16, 3, 9, 9) * 2 + 1 for _ in range(3)]


def test_answers_stay_in_evaluation_and_nearly_in_training() -> None:
    network, images = folded_pair()
    before = copy.deepcopy(network)
    assert unfold_norms(network, images) == 2
    batch = torch.cat(images)
    with torch.no_grad():
        expected = before(batch)
        torch.testing.assert_close(network(batch), expected, atol=1e-5, rtol=1e-5)
        # All the images in one batch have the statistics that were taken of them.
        torch.testing.assert_close(network.train()(batch), expected, atol=2e-3, rtol=2e-3)
        assert (before.train()(batch) - expected).abs().max() > 0.3


def test_other_norms_and_no_images_are_touched() -> None:
    def never() -> Iterator[torch.Tensor]:
        raise AssertionError("no norm is folded")
        yield torch.empty(0)

    fresh = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False))
    trained = copy.deepcopy(fresh)
    trained(torch.randn(8, 3, 4, 4))
    for network in (fresh, trained):
        before = copy.deepcopy(network.state_dict())
        assert unfold_norms(network, never()) == 0
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_stays(training: bool) -> None:
    network, images = folded_pair()
    unfold_norms(network.train(training), images)
    assert network.training is training
    assert not network[1]._forward_pre_hooks  # type: ignore[index]


def test_a_published_detector_trains_from_what_it_has_learned(shared_data: Path) -> None:
    detector = create_detector("nanodet_m_shufflenet_v2_x0_5", shared_data / "weights" / "nanodet_m_0.5x.onnx").eval()
    torch.manual_seed(0)
    images = torch.randn(4, 3, 96, 96)
    with torch.no_grad():
        expected = detector(images)
        lost = detector.train()(images)
        detector = create_detector("nanodet_m_shufflenet_v2_x0_5", shared_data / "weights" / "nanodet_m_0.5x.onnx")
        assert unfold_norms(detector, [images]) > 50
        kept = detector.train()(images)
    for before, without, after in zip(expected, lost, kept, strict=True):
        scale = before.abs().max()
        assert (after - before).abs().max() < 0.02 * scale < 0.2 * scale < (without - before).abs().max()
