"""The loader: what each process sees, in what order, with broken samples, workers, and a start in the middle."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shufflekit.errors import InputError, UsageError

pytest.importorskip("kornia")

from shufflekit.data import samples  # after the check for kornia
from shufflekit.data.augment import Augmentation
from shufflekit.data.folder import FolderSource
from shufflekit.data.images import BrokenImageError
from shufflekit.data.loader import Batch, Loader, evaluation_loader
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.samples import PixelReader
from shufflekit.data.sources import open_source

SMALL = Preprocessing(input_size=(16, 16), crop_pct=1.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CIFAR = Augmentation.cifar(cutout=4, jitter=0.2)
IMAGENET = Augmentation.imagenet()


class ArraySource:
    """Images in memory, of one size or several; some may be broken."""

    def __init__(self, count: int, broken: tuple[int, ...] = (), sizes: tuple[int, ...] = (16,)) -> None:
        self.classes = ["a", "b", "c"]
        self.count, self.broken, self.sizes = count, broken, sizes
        self.reads: list[int] = []

    def __len__(self) -> int:
        return self.count

    def label(self, index: int) -> int:
        return index % 3

    def name(self, index: int) -> str:
        return f"image {index}"

    def read(self, index: int) -> np.ndarray:
        self.reads.append(index)
        if index in self.broken:
            raise BrokenImageError(self.name(index), "torn")
        side = self.sizes[index % len(self.sizes)]
        return np.random.default_rng(index).integers(0, 256, (side, side, 3), dtype=np.uint8)


def make(source: object, **changes: object) -> Loader:
    options = {
        "indices": None, "batch_size": 4, "preprocessing": SMALL, "augmentation": CIFAR, "seed": 1, "shuffle": True,
        "drop_last": True, "workers": 0,
    }  # fmt: skip
    return Loader(source, **(options | changes))


def same(first: list[Batch], second: list[Batch]) -> bool:
    assert len(first) == len(second)
    return all(torch.equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True))


@pytest.fixture
def photos(tmp_path: Path) -> Callable[[set[int]], FolderSource]:
    """24 JPEGs of several sizes in 3 classes, of which those named are text."""

    def make_photos(broken: set[int]) -> FolderSource:
        for number in range(24):
            path = tmp_path / "abc"[number % 3] / f"{number:02}.jpg"
            path.parent.mkdir(exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
            if number in broken:
                path.write_text("not a photo")
        return FolderSource(tmp_path)

    return make_photos


def test_without_augmentation_a_batch_is_what_preprocessing_gives():
    source = ArraySource(10, sizes=(16, 20, 33))
    bgr = Preprocessing(input_size=(16, 16), crop_pct=0.9, channel_order="bgr")
    batches = list(make(source, preprocessing=bgr, augmentation=None, shuffle=False, drop_last=False).epoch(0))
    assert [len(batch.labels) for batch in batches] == [4, 4, 2]
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(10))
    assert torch.cat([batch.labels for batch in batches]).tolist() == [i % 3 for i in range(10)]
    images = torch.cat([batch.images for batch in batches])
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    for index in range(10):
        assert torch.equal(images[index], torch.from_numpy(bgr(source.read(index))))


def test_for_evaluation_each_image_comes_once_as_preprocessing_gives_it():
    source = ArraySource(10)
    one_by_one = make(source, augmentation=None, shuffle=False, drop_last=False)
    loader = evaluation_loader(source, SMALL, 4)
    assert same(list(loader.epoch(0)), list(one_by_one.epoch(0)))
    drawn = [torch.cat([b.indices for b in evaluation_loader(source, SMALL, 4, shuffle=True).epoch(0)]) for _ in range(2)]
    assert torch.equal(*drawn)
    assert sorted(drawn[0].tolist()) == list(range(10)) != drawn[0].tolist()
    whole = list(evaluation_loader(source, SMALL, 4, indices=[3, 1, 2, 5, 9], drop_last=True).epoch(0))
    assert [batch.indices.tolist() for batch in whole] == [[3, 1, 2, 5]]


def test_an_epoch_visits_every_sample_once_in_an_order_of_its_own():
    loader = make(ArraySource(20), indices=range(3, 19))
    orders = [torch.cat([batch.indices for batch in loader.epoch(epoch)]).tolist() for epoch in (0, 1, 0)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(3, 19))
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]
    assert make(ArraySource(20), indices=range(3, 19), seed=2)._plan(0)[0].tolist() != loader._plan(0)[0].tolist()


@pytest.mark.parametrize("augmentation", [CIFAR, IMAGENET, None])
def test_a_sample_is_the_same_in_any_batch_rank_and_order(augmentation: Augmentation | None):
    seen = {}
    for batch_size, world_size in ((4, 1), (5, 1), (3, 2), (4, 3)):
        for rank in range(world_size):
            loader = make(
                ArraySource(24, sizes=(16, 24)),
                augmentation=augmentation,
                batch_size=batch_size,
                rank=rank,
                world_size=world_size,
            )
            for batch in loader.epoch(7):
                for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
                    assert torch.equal(seen.setdefault(index, image), image)
    assert len(seen) == 24


@pytest.mark.parametrize("augmentation", [CIFAR, IMAGENET])
def test_a_sample_is_the_same_in_a_subset(augmentation: Augmentation):
    source = ArraySource(24, sizes=(16, 24))
    whole = next(make(source, augmentation=augmentation, batch_size=24, shuffle=False).epoch(1))
    part = next(make(source, augmentation=augmentation, indices=[20, 3, 11, 8], shuffle=False).epoch(1))
    assert part.indices.tolist() == [20, 3, 11, 8]
    assert torch.equal(part.images, whole.images[part.indices])


@pytest.mark.parametrize("augmentation", [CIFAR, IMAGENET])
def test_a_start_in_the_middle_gives_the_tail_and_decodes_no_more(augmentation: Augmentation):
    source = ArraySource(40, sizes=(16, 24))
    full = list(make(source, augmentation=augmentation).epoch(3))
    source.reads.clear()
    loader = make(source, augmentation=augmentation)
    assert same(list(loader.epoch(3, start_batch=7)), full[7:])
    if augmentation is IMAGENET:  # the others are all decoded once, at the start
        probes = 16
        assert len(source.reads) == 3 * 4 + probes
    assert list(loader.epoch(3, start_batch=10)) == []


@pytest.mark.parametrize("drop_last", [True, False])
def test_two_processes_see_in_turn_what_one_sees(drop_last: bool):
    def deal(**changes: int) -> list[Batch]:
        return list(make(ArraySource(38), drop_last=drop_last, **changes).epoch(2))

    alone = deal()
    first, second = deal(rank=0, world_size=2), deal(rank=1, world_size=2)
    if drop_last:  # 9 whole batches: the last round does not reach both
        assert (len(alone), len(first), len(second)) == (9, 4, 4)
        alone = alone[:8]
    else:
        assert (len(alone), len(first), len(second)) == (10, 5, 5)
    assert same([batch for pair in zip(first, second, strict=True) for batch in pair], alone)


@pytest.mark.parametrize("count", [1, 4, 5, 9, 12, 13])
def test_uneven_rounds_are_counted_right(count: int):
    loaders = [make(ArraySource(count), drop_last=False, augmentation=None, rank=rank, world_size=3) for rank in range(3)]
    dealt = [list(loader.epoch(0)) for loader in loaders]
    assert [len(loader) for loader in loaders] == [len(batches) for batches in dealt]
    assert sorted(index for batches in dealt for batch in batches for index in batch.indices.tolist()) == list(range(count))


@pytest.mark.parametrize("augmentation", [CIFAR, IMAGENET])
def test_a_broken_sample_is_replaced_by_a_good_one_and_named(augmentation: Augmentation):
    source = ArraySource(12, broken=(2, 3, 11), sizes=(16, 24))
    loader = make(source, augmentation=augmentation, shuffle=False)
    whole = {i: image for batch in make(ArraySource(12, sizes=(16, 24)), augmentation=augmentation).epoch(0)
             for i, image in zip(batch.indices.tolist(), batch.images, strict=True)}  # fmt: skip
    first, again = list(loader.epoch(0)), list(loader.epoch(0))
    assert same(first, again)
    indices = torch.cat([batch.indices for batch in first]).tolist()
    assert [index for place, index in enumerate(indices) if place not in (2, 3, 11)] == [0, 1, 4, 5, 6, 7, 8, 9, 10]
    assert not {2, 3, 11} & set(indices)
    for batch in first:
        assert batch.labels.tolist() == [index % 3 for index in batch.indices.tolist()]
        assert all(torch.equal(image, whole[index]) for image, index in zip(batch.images, batch.indices.tolist(), strict=True))
    assert loader.broken == {"image 2": "torn", "image 3": "torn", "image 11": "torn"}
    substitutes = {tuple(next(loader.epoch(epoch)).indices[2:].tolist()) for epoch in range(5)}
    assert len(substitutes) > 1, "others in other epochs"


def test_no_good_sample_takes_the_place_of_many():
    source = ArraySource(200, broken=tuple(range(40, 80)))
    for epoch in range(3):
        loader = make(source, batch_size=40, shuffle=False)
        indices = torch.cat([batch.indices for batch in loader.epoch(epoch)])
        assert indices[:40].tolist() == list(range(40))
        substitutes = indices[40:80]
        assert np.bincount(substitutes.numpy()).max() <= 4
        assert len(substitutes.unique()) >= 25
    alone = make(ArraySource(50, broken=tuple(range(1, 50))), batch_size=50)
    assert next(alone.epoch(0)).indices.tolist() == [0] * 50, "where there is but one, it is found"


def test_a_broken_sample_is_left_out_where_batches_may_be_smaller():
    loader = make(ArraySource(10, broken=(1, 4, 5, 6, 7)), augmentation=None, shuffle=False, drop_last=False)
    batches = list(loader.epoch(0))
    assert [batch.indices.tolist() for batch in batches] == [[0, 2, 3], [], [8, 9]]
    assert [tuple(batch.images.shape) for batch in batches] == [(3, 3, 16, 16), (0, 3, 16, 16), (2, 3, 16, 16)]
    assert [batch.labels.tolist() for batch in batches] == [[0, 2, 0], [], [2, 0]]
    assert len(loader.broken) == 5


def test_a_subset_replaces_from_within_itself():
    for seed in range(8):
        loader = make(ArraySource(12, broken=(5,)), indices=[9, 5, 7, 1], shuffle=False, seed=seed)
        first, second, third, fourth = next(loader.epoch(0)).indices.tolist()
        assert (first, third, fourth) == (9, 7, 1)
        assert second in (9, 7, 1)


@pytest.mark.parametrize("workers", [0, 1])
def test_labels_are_those_of_the_indices(photos: Callable[[set[int]], FolderSource], workers: int):
    """Whatever subset, order and replacement: an image, its number and its label belong together."""
    source = photos({4, 13})
    broken = [index for index in range(24) if Path(source.name(index)).stem in ("04", "13")]
    chosen = [22, 3, *broken, 17, 8, 14, 1]
    for batch in make(source, indices=chosen, augmentation=IMAGENET, workers=workers).epoch(1):
        assert batch.labels.tolist() == [source.label(index) for index in batch.indices.tolist()]
        assert set(batch.indices.tolist()) <= set(chosen) - {*broken}


@pytest.mark.parametrize("augmentation", [CIFAR, IMAGENET])
def test_all_broken_is_an_error(augmentation: Augmentation):
    loader = make(ArraySource(4, broken=(0, 1, 2, 3)), augmentation=augmentation)
    with pytest.raises(InputError, match=r"none of 4 images can be decoded; the first is image [0-3]: torn"):
        next(loader.epoch(0))
    assert len(loader.broken) == 4


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # torch, where there is one core
def test_workers_see_what_the_calling_process_sees(photos: Callable[[set[int]], FolderSource]):
    source = photos({4, 13})
    alone = make(source, augmentation=IMAGENET)
    expected = [list(alone.epoch(epoch)) for epoch in range(3)]
    loader = make(source, augmentation=IMAGENET, workers=2)
    assert same(list(loader.epoch(0)), expected[0])
    next(loader.epoch(2))  # given up after one batch: what was under way must not turn up in the next epoch
    assert same(list(loader.epoch(1, start_batch=2)), expected[1][2:])
    assert same(list(loader.epoch(2)), expected[2])
    assert {Path(name).name: reason for name, reason in loader.broken.items()} == {
        "04.jpg": "not a known image format",
        "13.jpg": "not a known image format",
    }
    assert loader.broken == alone.broken


@pytest.mark.parametrize("side", [30, 31, 32, 64])
def test_workers_make_no_difference_to_images_of_one_size(tmp_path: Path, side: int):
    (tmp_path / "a").mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a" / f"{number}.jpg")
    source = FolderSource(tmp_path)
    in_memory = make(source, augmentation=IMAGENET, batch_size=6)
    as_workers_do = make(source, augmentation=IMAGENET, batch_size=6)
    as_workers_do._reader = PixelReader(source, as_workers_do.indices, SMALL, IMAGENET, seed=1)
    for epoch in range(5):
        assert same(list(in_memory.epoch(epoch)), list(as_workers_do.epoch(epoch)))
    assert (in_memory._reader.decoded is not None) == (
        side == 30
    )  # from 31 on, half of a side still covers the 16 of the input


def test_workers_report_that_all_is_broken(photos: Callable[[set[int]], FolderSource]):
    loader = make(photos(set(range(24))), augmentation=IMAGENET, workers=1)
    with pytest.raises(InputError, match=r"none of 24 images can be decoded; the first is .*\.jpg: not a known image format"):
        list(loader.epoch(0))


def test_large_sets_are_not_held_in_memory(monkeypatch: pytest.MonkeyPatch):
    small = make(ArraySource(8))
    expected = list(small.epoch(0))
    monkeypatch.setattr(samples, "MAX_DECODED_BYTES", 1000)
    large = make(ArraySource(8))
    assert same(list(large.epoch(0)), expected)
    assert small._reader.decoded is not None
    assert large._reader.decoded is None


def test_images_of_one_size_are_decoded_once():
    source = ArraySource(8)
    loader = make(source, augmentation=IMAGENET)
    first = list(loader.epoch(0))
    reads = len(source.reads)
    assert same(list(loader.epoch(0)), first)
    assert len(source.reads) == reads
    odd = ArraySource(40, sizes=(16,) * 39 + (20,))  # found only when all are decoded: the probes miss it
    assert sum(len(batch.labels) for batch in make(odd, augmentation=IMAGENET).epoch(0)) == 40


def test_cifar10_batches(shared_data: Path):
    source = open_source(shared_data / "cifar10", split="test")
    prepare = Preprocessing(input_size=(32, 32), crop_pct=1.0)
    loader = make(source, indices=range(500, 1000), preprocessing=prepare, augmentation=None, batch_size=100, shuffle=False)
    batches = list(loader.epoch(0))
    assert [tuple(batch.images.shape) for batch in batches] == [(100, 3, 32, 32)] * 5
    assert torch.equal(batches[1].images[7], torch.from_numpy(prepare(source.read(607))))
    assert loader.broken == {}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch_size": 0}, UsageError, "batch_size: must be 1 or more, found 0"),
        ({"workers": -1}, UsageError, "workers: must be 0 or more, found -1"),
        ({"world_size": 0}, UsageError, "world_size: must be 1 or more, found 0"),
        ({"rank": 2, "world_size": 2}, UsageError, "rank: must be 0 to 1, found 2"),
        ({"indices": [0, 10]}, UsageError, "indices: must be 0 to 9, found 0 to 10"),
        ({"augmentation": Augmentation(pad=16)}, UsageError, r"pad: must be less than the input size \(16, 16\), found 16"),
        ({"indices": []}, InputError, "must hold 1 sample or more, found none"),
        ({"batch_size": 11}, InputError, "10 samples do not fill 1 batches of 11"),
        ({"batch_size": 6, "world_size": 2}, InputError, "10 samples do not fill 2 batches of 6"),
    ],
)
def test_wrong_values_are_refused(changes: dict, error: type, message: str):
    with pytest.raises(error, match=message):
        make(ArraySource(10), **changes)


def test_a_png_named_jpg_takes_part(tmp_path: Path):
    (tmp_path / "a").mkdir()
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(file, "PNG")
    (tmp_path / "a" / "1.jpg").write_bytes(file.getvalue())
    loader = make(FolderSource(tmp_path), batch_size=1, augmentation=IMAGENET)
    assert len(list(loader.epoch(0))) == 1
    assert loader.broken == {}


def test_a_network_of_one_channel_gets_what_one_image_alone_would_give() -> None:
    grey = Preprocessing(input_size=(16, 16), crop_pct=1.0, mean=(0.5,), std=(0.25,), channel_order="grey")
    source = ArraySource(4)
    (batch,) = make(source, preprocessing=grey, augmentation=None, shuffle=False).epoch(0)
    assert batch.images.shape == (4, 1, 16, 16)
    for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
        assert np.allclose(image.numpy(), grey(source.read(index)), atol=1e-6)
    (augmented,) = make(source, preprocessing=grey).epoch(0)
    assert augmented.images.shape == (4, 1, 16, 16)
