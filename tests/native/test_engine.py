"""What runs of an engine take of the heap, and what forked children make of it: native/tests/engine_test.cpp."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

import shufflekit as sk

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


@pytest.fixture(scope="module")
def said(native_folder: Path, run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> list[list[int]]:
    """By threads: their number, bytes of an arena and of scratch, of the first image and the first batch, later blocks."""
    path = tmp_path_factory.mktemp("plan") / "net.plan"
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    sk.compile(stem.append(nn.Conv2d(16, 16, 5, 1, 2, groups=16)), (1, 3, 128, 160)).save(path)
    # Fails where a run takes something that an earlier one was given already.
    return [
        [int(number) for number in re.findall(r"\d+", line)] for line in run(native_folder / "engine_test", path).splitlines()
    ]


def test_runs_take_nothing_of_the_heap_after_the_first(said: list[list[int]]) -> None:
    assert [line[0] for line in said] == [1, 2, 3, 6, 12]
    assert all(line[-1] == 0 for line in said)


def test_an_image_takes_one_arena_and_a_batch_one_for_each_thread(said: list[list[int]]) -> None:
    for threads, arena, scratch, first, batch, _ in said:
        each = 1024  # borders, slack
        assert arena + threads * scratch <= first <= arena + threads * scratch + (threads + 1) * each
        assert (threads - 1) * arena <= batch <= (threads - 1) * (arena + each)


def test_large_blocks_begin_without_small_pages(native_folder: Path, run: Callable[..., str], tmp_path: Path) -> None:
    """Which the C library held already, and which would stay small: such an engine was 2 % slower than the next one."""
    sk.compile(nn.Conv2d(1024, 768, 1), (1, 1024, 2, 2)).save(tmp_path / "net.plan")  # 3 MiB
    run(native_folder / "engine_test", tmp_path / "net.plan")


def test_forked_children_get_engines_that_work(native_folder: Path, run: Callable[..., str], tmp_path: Path) -> None:
    """Whatever the parent's threads were doing; with a lock around the spare memory, one child in fifty hung."""
    sk.compile(nn.Conv2d(1, 1, 1), (1, 1, 2, 2)).save(tmp_path / "net.plan")
    said = run(native_folder / "engine_test", tmp_path / "net.plan", "300")
    assert said == "threads 1: 300 of 300 children are right\nthreads 2: 300 of 300 children are right\n"
