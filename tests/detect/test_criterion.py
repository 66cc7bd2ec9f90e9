from __future__ import annotations

import math

import pytest
import torch

from shufflekit.detect.assign import Target, assign_adaptively, centres
from shufflekit.detect.criterion import focal_loss, grid_loss, loss_of


def target(boxes=(), labels=(), ignored=()) -> Target:
    return Target(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.long),
        torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
    )


def test_focal_loss_by_hand():
    """One place at (4, 4), one object; logits of 0: every score 1/2, every distance the mean of the bins 0 to 3."""
    maps = [torch.zeros(1, 2 + 16, 1, 1)]
    found = focal_loss(maps, [target([[-8, -8, 16, 16]], [1])], [8], classes=2, bins=4)
    # in strides: the box found is 3 x 3 around (1/2, 1/2), and so is the true one
    assert found["box"].item() == pytest.approx(0, abs=1e-6)
    assert found["sides"].item() == pytest.approx(0.25 * math.log(4))
    # class 1 has quality 1, class 0 quality 0: both are 1/2 away
    assert found["class"].item() == pytest.approx(2 * math.log(2) / 4)


def peaked(classes, distances, bins: int = 4) -> torch.Tensor:
    """What one place says: class logits, and each side's distance for sure."""
    return torch.cat((torch.tensor(classes), 50 * torch.nn.functional.one_hot(torch.tensor(distances), bins).flatten()))


def test_places_that_are_sure_of_something_count_more():
    """Three images of one place at (4, 4): an object found badly, one found exactly, and nothing."""
    said = [peaked([-math.log(3), -50], (0, 0, 3, 3)), peaked([0.0, 0.0], (1, 2, 2, 1)), peaked([-50.0, -50], (0, 0, 0, 0))]
    maps = torch.stack(said).view(3, -1, 1, 1).requires_grad_()
    targets = [target([[-8, -8, 16, 16]], [0]), target([[-4, -12, 20, 12]], [0]), target()]
    found = focal_loss([maps], targets, [8], classes=2, bins=4)
    # in strides: 3 x 3 at 0.5 for 3 x 3 at -1. They share 1.5^2 of 15.75, and 4.5^2 encloses both.
    iou, union, around = 1.5**2 / 15.75, 15.75, 4.5**2
    generalised = iou - (around - union) / around
    scores = (0.25, 0.5)  # the best of each place
    assert found["box"].item() == pytest.approx(2 * scores[0] * (1 - generalised) / sum(scores), rel=1e-5)
    # each true side is at 1.5, between two bins that are 50 below the one said
    assert found["sides"].item() == pytest.approx(0.25 * scores[0] * 50 / sum(scores), rel=1e-5)
    entropy = -(iou * math.log(0.25) + (1 - iou) * math.log(0.75))
    classes = entropy * (0.25 - iou) ** 2 + 2 * math.log(2) / 4
    assert found["class"].item() == pytest.approx(classes / 2, rel=1e-5)  # over two places with an object
    for part, channels in (("box", slice(2)), ("sides", slice(2)), ("class", slice(2, None))):
        (gradient,) = torch.autograd.grad(found[part], maps, retain_graph=True)
        assert (gradient[:, channels] == 0).all(), part  # neither learns by changing the other's weight or aim


def exact(box, stride: int, height: int, width: int, bins: int) -> torch.Tensor:
    """A map of which each place says where the sides of an object are, in its own strides."""
    points = centres(height, width, stride)
    distances = torch.cat((points - torch.tensor(box[:2]), torch.tensor(box[2:]) - points), 1).clamp(min=0) / stride
    below = distances.long().clamp(max=bins - 2)
    share = distances - below
    shares = torch.zeros(height * width, 4, bins).scatter(2, below[..., None], 1 - share[..., None])
    logits = shares.scatter(2, below[..., None] + 1, share[..., None]).clamp(min=1e-30).log().flatten(1)
    return torch.cat((torch.zeros(height * width, 1), logits), 1).T.reshape(1, 1 + 4 * bins, height, width)


def test_each_level_measures_in_its_own_stride():
    box, strides = [16.0, 40, 96, 96], (8, 16, 32)
    owner = assign_adaptively([centres(96 // s, 96 // s, s) for s in strides], strides, torch.tensor([box]))
    assert (owner[144:] == 0).any()
    maps = [exact(box, s, 96 // s, 96 // s, bins=12) for s in strides]
    assert focal_loss(maps, [target([box], [0])], strides, classes=1, bins=12)["box"].item() == pytest.approx(0, abs=1e-4)


def test_places_of_a_wide_grid_are_where_they_are():
    """Logits of 0: each place says half the input around its corner."""
    maps = torch.zeros(1, 6, 2, 6)  # 48 x 16 of 96 x 32
    assert grid_loss(maps, [target([[40, 8, 88, 24]], [0])], 16)["box"].item() == pytest.approx(0, abs=1e-6)
    assert grid_loss(maps, [target([[44, 8, 92, 24]], [0])], 16)["box"].item() > 0.1


def test_each_image_of_a_grid_learns_from_its_own_objects():
    values = torch.zeros(2, 7, 2, 2, requires_grad=True)
    for part in grid_loss(values, [target(), target([[0, 0, 32, 32]], [1])], 16).values():
        (gradient,) = torch.autograd.grad(part, values, retain_graph=True)
        assert (gradient[0, 1:] == 0).all()


def test_a_grid_place_of_two_objects_learns_the_one_that_it_overlaps_more():
    """A map of 1x1 says 8 x 8 around (0, 0): one object is that, the other its upper half."""
    both = [target([[-4, -4, 4, 4], [-4, -4, 4, 0]], [0, 1])]
    assert grid_loss(torch.zeros(1, 7, 1, 1), both, 16)["box"].item() == pytest.approx(0, abs=1e-6)


def test_objectness_is_over_the_places_that_learn():
    """Of five places around two objects (see above) two learn: overlaps of 1 and 1/64."""
    found = grid_loss(torch.zeros(1, 6, 4, 4), [target([[0, 0, 32, 32], [46, 46, 50, 50]], [0, 0])], 16)
    squares = 14 * 0.5**2 + 0.5**2 + (0.5 - 1 / 64) ** 2
    assert found["object"].item() == pytest.approx(math.log(2) * squares / 2, rel=1e-5)


@pytest.mark.parametrize("form", ["focal", "grid"])
def test_a_crowd_does_not_hide_its_own_objects(form):
    """A map of 1x1 with an object, and a crowd all over it."""
    maps = [torch.zeros(1, 18, 1, 1)] if form == "focal" else [torch.zeros(1, 7, 1, 1)]
    detection = {"form": form, "strides": [8 if form == "focal" else 16], "classes": 2, "bins": 4}
    plain, crowded = (loss_of(maps, [target([[-4, -4, 12, 8]], [1], crowd)], detection) for crowd in ([], [[-50, -50, 99, 99]]))
    assert plain.keys() == crowded.keys()
    for name, value in plain.items():
        assert value.item() > 0
        assert crowded[name].item() == pytest.approx(value.item())


def test_grid_boxes_learn_by_generalised_overlap():
    """A place says 16 x 16 around its corner at (0, 0); the object is a quarter of that beside it, without a touch."""
    (box,) = (grid_loss(torch.zeros(1, 6, 1, 1), [target([[8, -4, 12, 4]], [0])], 16)["box"],)
    union, around = 16 * 16 / 4 + 4 * 8, 16 * 8
    assert box.item() == pytest.approx(2 * (1 + (around - union) / around), rel=1e-5)


def test_grid_loss_by_hand():
    """A map of 1x1 at stride 16: the centre of the box (tanh 0, tanh 0) is the place's corner, its sides half the input."""
    values = torch.zeros(1, 5 + 3, 1, 1)
    found = grid_loss(values, [target([[-4, -4, 4, 4]], [2])], 16)
    assert found["box"].item() == pytest.approx(0, abs=1e-6)
    assert found["class"].item() == pytest.approx(math.log(3))
    assert found["object"].item() == pytest.approx(math.log(2) / 4)  # quality 1 against 1/2
    half = grid_loss(values, [target([[-4, -4, 4, 0]], [2])], 16)  # overlap 1/2
    assert half["box"].item() == pytest.approx(2 * 0.5)
    assert half["object"].item() == pytest.approx(0, abs=1e-6)


def test_an_object_that_is_found_badly_is_learnt_beside_one_that_is_found_well():
    """Logits of 0: sides of half the input, 32 of 64, around the corner of a place, at stride 16."""
    values = torch.zeros(1, 5 + 1, 4, 4, requires_grad=True)
    # the first object is exactly what the place in row and column 1 says; of the second the last place's 32 x 32 cover 4 x 4
    grid_loss(values, [target([[0, 0, 32, 32], [46, 46, 50, 50]], [0, 0])], 16)["box"].backward()
    learns = values.grad[0, 1:5].abs().sum(0) > 0
    assert learns.nonzero().tolist() == [[3, 3]]


@pytest.mark.parametrize("form", ["focal", "grid"])
def test_no_object_is_background_everywhere_and_a_crowd_is_nothing(form):
    focal = {"form": "focal", "strides": [8, 16], "classes": 2, "bins": 4}
    detection = focal if form == "focal" else {"form": "grid", "strides": [16], "classes": 2}
    maps = [torch.zeros(1, 18, 4, 4), torch.zeros(1, 18, 2, 2)] if form == "focal" else [torch.zeros(1, 7, 2, 2)]
    for one in maps:
        one.requires_grad_()
    empty = loss_of(maps, [target()], detection)
    total = sum(empty.values())
    total.backward()
    assert total.item() > 0
    assert all(one.grad is not None and one.grad.isfinite().all() for one in maps)
    crowd = loss_of(maps, [target(ignored=[[-1, -1, 33, 33]])], detection)
    assert sum(value.item() for value in crowd.values()) == 0
    some = loss_of(maps, [target(ignored=[[-1, -1, 33, 16]])], detection)
    assert 0 < sum(value.item() for value in some.values()) < total.item()


@pytest.mark.parametrize("form", ["focal", "grid"])
def test_steps_down_the_gradient_find_the_objects(form):
    """Free maps in place of a network: what is left is the loss itself."""
    from shufflekit.detect.decode import decode

    focal = {"form": "focal", "strides": [8, 16], "classes": 3, "bins": 8, "iou": 0.6, "most": 10}
    grid = {"form": "grid", "strides": [16], "classes": 3, "iou": 0.45, "most": 10}
    detection = focal if form == "focal" else grid
    sizes = [(3 + 32, 8, 8), (3 + 32, 4, 4)] if form == "focal" else [(8, 4, 4)]
    generator = torch.Generator().manual_seed(0)
    maps = [(0.1 * torch.randn(1, *size, generator=generator)).requires_grad_() for size in sizes]
    truth = target([[4, 6, 30, 28], [34, 30, 62, 60]], [0, 2])
    optimizer = torch.optim.Adam(maps, lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        torch.stack([*loss_of(maps, [truth], detection).values()]).sum().backward()
        optimizer.step()
    found = decode([one[0].detach().numpy() for one in maps], detection, (64, 64), 0.5)
    order = found.labels.argsort()
    assert found.labels[order].tolist() == [0, 2]
    assert found.boxes[order] == pytest.approx(truth.boxes.numpy(), abs=1.0)
