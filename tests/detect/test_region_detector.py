from __future__ import annotations

import math

import pytest
import torch

from shufflekit.compiling import compile as compile_network
from shufflekit.detect import region_detector
from shufflekit.detect.assign import Target
from shufflekit.detect.create import create_detector
from shufflekit.detect.decode import decode
from shufflekit.detect.region_detector import RegionDetector, proposal_loss, region_loss
from shufflekit.detect.regions import BACKGROUND, encode
from shufflekit.errors import InputError, UsageError

pytest.importorskip("kornia.geometry.bbox")
FORMS = pytest.mark.parametrize("form", ["faster_rcnn", "light_head_rcnn"])


def target(boxes=(), labels=(), ignored=()) -> Target:
    return Target(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.long),
        torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
    )


def small(form: str) -> RegionDetector:
    torch.manual_seed(0)
    net = create_detector(f"{form}_shufflenet_v2_x0_5", num_classes=2)
    assert isinstance(net, RegionDetector)
    return net


def test_the_first_stages_loss_by_hand():
    """Four anchors, one of which is the object's; logits and differences of 0."""
    there = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [0, 0, 10, 6]])
    objects, differences = proposal_loss(torch.zeros(4, 5), there, target([[0, 0, 10, 9]], [0]), torch.Generator())
    # the last one's overlap of 2/3 is neither: three are drawn, each off by log 2
    assert objects.item() == pytest.approx(math.log(2))
    # the object's middle is 1/2 of 10 higher, its height 9 of 10: by the smooth loss, less 1/18 where beyond 1/9
    off = [0.05, -math.log(0.9)]
    assert differences.item() == pytest.approx(sum(o * o / 2 * 9 for o in off) / 3, rel=1e-4)
    far = torch.tensor([[1.0, 0, 0, 0, 0]]).expand(4, 5)
    assert proposal_loss(far, there, target(), torch.Generator())[0].item() == pytest.approx(math.log(1 + math.e))


def test_an_object_that_no_anchor_fits_is_found_by_the_nearest():
    """Overlaps of 1/2 and less with each anchor: below what an anchor with an object needs."""
    there = torch.tensor([[0.0, 0, 10, 10], [40, 0, 50, 10]])
    objects, differences = proposal_loss(torch.zeros(2, 5), there, target([[0, 0, 10, 5]], [0]), torch.Generator())
    assert differences.item() > 0.1
    sure = torch.tensor([[50.0, 0, 0, 0, 0], [-50, 0, 0, 0, 0]])
    assert proposal_loss(sure, there, target([[0, 0, 10, 5]], [0]), torch.Generator())[0].item() == pytest.approx(0, abs=1e-6)
    assert objects.item() == pytest.approx(math.log(2))


@FORMS
def test_the_second_stage_learns_from_halves_of_overlap_and_the_objects_themselves(form, monkeypatch):
    net, seen = small(form), {}

    def keep(logits, steps, regions, owners, targets):
        seen.update(regions=regions[0], owners=owners[0])
        return logits.sum() * 0, steps.sum() * 0

    monkeypatch.setattr(region_detector, "region_loss", keep)
    # overlaps of 6/10, 4/10 and none, and far more background than is drawn
    regions = torch.tensor(
        [[0.0, 0, 60, 60], [0, 0, 40, 60], [200, 200, 260, 260], *[[300.0, 300, 310 + i, 310] for i in range(90)]]
    )
    _, dense = net.dense(torch.zeros(1, 3, 320, 320))
    there, found = torch.tensor([[0.0, 0, 16, 16]]), torch.zeros(1, 1, 5)
    net._losses(found, there, dense, [regions], [target([[0, 0, 100, 60]], [1])], [3])
    with_object = seen["regions"][seen["owners"] == 0]
    assert sorted(with_object.tolist()) == [[0, 0, 60, 60], [0, 0, 100, 60]]
    assert len(seen["owners"]) == 64
    assert set(seen["owners"].tolist()) == {0, BACKGROUND}


@FORMS
def test_a_region_sees_what_lies_at_its_place(form):
    """A map whose values are the columns of the input that they stand for: the mean over a region is its middle."""
    net = small(form)
    stride = {"faster_rcnn": 16, "light_head_rcnn": 32}[form]
    with torch.no_grad():
        shape = net.dense(torch.zeros(1, 3, 320, 320))[1].shape
    assert shape[3] == 320 // stride
    ramp = ((torch.arange(shape[3]) + 0.5) * stride).expand(shape)
    regions = torch.tensor([[40.0, 80, 200, 240], [96, 32, 288, 64]])
    pooled = net.pool(ramp, regions, torch.tensor([0, 0]))
    assert pooled.flatten(1).mean(1).tolist() == pytest.approx([120, 192], rel=1e-3)


def test_the_second_stages_loss_by_hand():
    regions = [torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]]), torch.tensor([[0.0, 0, 20, 20]])]
    owners = [torch.tensor([0, BACKGROUND]), torch.tensor([1])]
    targets = [target([[1, 0, 11, 10]], [1]), target([[5, 5, 6, 6], [0, 0, 20, 20]], [0, 0])]
    kind, box = region_loss(torch.zeros(3, 3), torch.zeros(3, 4), regions, owners, targets)
    assert kind.item() == pytest.approx(math.log(3))
    assert box.item() == pytest.approx((1 / 2) / 3)  # 1 of 10 to the right, in units of 0.1: 1^2 / 2, of three regions
    sure = torch.tensor([[0.0, 50, 0], [0, 0, 50], [50, 0, 0]])  # class 1, background, class 0
    exact = torch.tensor([[1.0, 0, 0, 0], [9, 9, 9, 9], [0, 0, 0, 0]])
    assert [part.item() for part in region_loss(sure, exact, regions, owners, targets)] == pytest.approx([0, 0])
    none = region_loss(torch.zeros(1, 3), torch.zeros(1, 4), [regions[1]], [torch.tensor([BACKGROUND])], [target()])
    assert [part.item() for part in none] == pytest.approx([math.log(3), 0])


def test_boxes_are_decoded_as_they_were_encoded():
    detection = {"form": "regions", "classes": 2, "proposals": 4, "scale": [0.1, 0.1, 0.2, 0.2], "iou": 0.5, "most": 10}
    proposals = torch.tensor([[0.0, 0, 20, 20], [30, 30, 50, 60], [1, 1, 20, 20], [0, 0, 0, 0]])
    truth = torch.tensor([[2.0, 3, 18, 22], [28, 30, 55, 61], [2, 3, 18, 22], [0, 0, 1, 1]])
    logits = torch.tensor([[5.0, 0, 0], [0, 4, 0], [3, 0, 0], [9, 9, 0]])
    steps = encode(truth, proposals, detection["scale"])
    found = decode([proposals.numpy(), logits.numpy(), steps.numpy()], detection, (64, 64), 0.3)
    assert found.labels.tolist() == [0, 1]  # the third is the first again, the fourth has no area
    assert found.boxes == pytest.approx(truth[:2].numpy(), abs=1e-4)
    assert found.scores.tolist() == pytest.approx([math.exp(v) / (math.exp(v) + 2) for v in (5, 4)])
    with pytest.raises(InputError, match="maps: must be 4x4, 4x3, 4x4, found 4x4"):
        decode([proposals.numpy()], detection, (64, 64), 0.3)


@FORMS
def test_losses_reach_every_weight(form):
    net = small(form)
    parts = net(torch.randn(2, 3, 64, 96), [target([[4, 4, 40, 40]], [1]), target()], [1, 2])
    assert set(parts) == {"object", "proposal", "class", "box"}
    torch.stack([*parts.values()]).sum().backward()
    assert [name for name, value in net.named_parameters() if value.grad is None] == []
    assert all(value.grad.isfinite().all() for value in net.parameters())


@FORMS
def test_a_draw_depends_on_its_images_key_only(form):
    net = small(form).eval()
    x, there = torch.randn(2, 3, 96, 96), [target([[4, 4, 40, 40]], [1]), target([[20, 30, 90, 90]], [0])]
    both = net(x, there, [5, 6])
    alone = [net(x[i : i + 1], there[i : i + 1], [5 + i]) for i in range(2)]
    for name, value in both.items():
        assert value.item() == pytest.approx(sum(part[name].item() for part in alone) / 2, rel=1e-4)
    assert net(x, there, [5, 7])["object"].item() != both["object"].item()


@FORMS
def test_each_image_of_a_batch_is_seen_by_itself(form):
    net = small(form).eval()
    x = torch.randn(2, 3, 70, 101)  # sides need not divide
    with torch.no_grad():
        both, alone = net(x), net(x[1:])
    for part, own in zip(both, alone):
        assert torch.allclose(part[1], own[0], atol=1e-4)
    assert ((both[0] >= 0) & (both[0] <= torch.tensor([101, 70, 101, 70]))).all()


def test_another_backbone_by_name():
    for name in ("faster_rcnn_shufflenet_v1_g3_x0_5", "light_head_rcnn_mobilenet_v2_x0_15", "faster_rcnn_mobilenet_v1_x0_25"):
        net = create_detector(name, num_classes=2).eval()
        with torch.no_grad():
            assert [tuple(part.shape) for part in net(torch.zeros(1, 3, 64, 64))] == [(1, 300, 4), (1, 300, 3), (1, 300, 4)]


def test_the_engine_refuses_two_stages_in_one_line():
    with pytest.raises(UsageError, match=r"^compile: light_head_rcnn_shufflenet_v2_x0_5 has two stages, and the engine runs"):
        compile_network(small("light_head_rcnn"), (1, 3, 64, 64))


def test_the_first_stage_keeps_the_map_and_starts_undecided():
    """Logits near 0: neither object nor background, and anchors where they are."""
    torch.manual_seed(0)
    head = region_detector.ProposalHead(8, 64, 15)
    found = head(torch.randn(2, 8, 7, 9))
    assert found.shape == (2, 75, 7, 9)
    assert head.last.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert found.abs().max().item() < 1
    assert head.conv.weight.std().item() == pytest.approx((2 / 72) ** 0.5, rel=0.1), "as for ReLU"


@FORMS
def test_as_many_objects_are_shown_as_coco_counts(form):
    assert small(form).detection["most"] == 100
