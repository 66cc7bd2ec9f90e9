"""Photos in, classes and boxes out: what JavaScript finds is what Python finds on the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.classify.classifier import engine_classifier
from shufflekit.data.preprocess import Preprocessing
from shufflekit.detect.create import create_detector
from shufflekit.detect.runners import engine_detector
from shufflekit.runtime import Engine
from tests.runtime.lively import enliven, images

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

JavaScript = Callable[[str], list[Any]]


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Waves, noise and sharp edges."""
    random = np.random.default_rng(seed)
    waves = images(1, (3, height, width), seed)[0].transpose(1, 2, 0)
    pixels = 128 + 60 * waves / np.abs(waves).max() + random.normal(0, 20, waves.shape)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = random.integers(0, 256, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def put(plans: Path, name: str, pixels: NDArray[np.uint8]) -> str:
    """Writes RGBA bytes of a photo; JavaScript that reads them."""
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    np.concatenate((pixels, alpha), 2).tofile(plans / f"{name}.rgba")
    height, width = pixels.shape[:2]
    return f"{{ data: new Uint8ClampedArray(await bytes('{name}.rgba')), width: {width}, height: {height} }}"


class Pixels(nn.Module):
    """Scores that are single pixels, so that one that is off by one in 255 shows."""

    def __init__(self, side: int, channels: int = 3) -> None:
        super().__init__()
        places = torch.randperm(channels * side * side, generator=torch.Generator().manual_seed(0))[:60]
        weight = torch.zeros(len(places), channels * side * side)
        weight[torch.arange(len(places)), places] = 2.0
        self.fc = nn.Linear(channels * side * side, len(places), bias=False)
        self.fc.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1))


USUAL = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HOW = {
    "usual": USUAL,
    "bicubic": {"interpolation": "bicubic", "crop_pct": 0.9, **USUAL},
    "lanczos": {
        "interpolation": "lanczos",
        "crop_pct": 1.0,
        "channel_order": "bgr",
        "mean": (0.4, 0.5, 0.6),
        "std": (0.2, 0.3, 0.4),
    },
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("size", [(97, 61), (40, 150), (150, 40), (24, 24), (10, 7)], ids=str)
@pytest.mark.parametrize("kind", ["float32", "uint8", "grey"])
def test_a_photo_goes_in_as_in_python(javascript: JavaScript, plans: Path, how: str, size: tuple[int, int], kind: str) -> None:
    channels = 1 if kind == "grey" else 3
    network = Pixels(24, channels).eval()
    network.pretrained_cfg = {**HOW[how], "input_size": (channels, 24, 24)}  # type: ignore[assignment]
    engine = sk.compile(network, (1, channels, 24, 24), **({"input": "uint8"} if kind == "uint8" else {}))
    engine.save(plans / "pixels.plan")
    pixels = photo(*size)
    needed = {each.index: each.score for each in engine_classifier(engine)(pixels, 60)}
    assert max(needed.values()) > 1.5 * min(needed.values())
    (found,) = javascript(
        f"return (await sk.load(`${{plans}}/pixels.plan`)).classify({put(plans, 'photo', pixels)}, {{ top: 60 }})"
    )
    assert {each["index"]: pytest.approx(each["score"], rel=1e-4) for each in found} == needed
    assert [each["label"] for each in found] == [f"class {each['index']}" for each in found]


def test_an_image_of_the_inputs_size_goes_in_as_it_is(javascript: JavaScript, plans: Path) -> None:
    network = enliven(nn.Sequential(nn.Conv2d(3, 4, 3, 2)), images(2, (3, 20, 24)))
    pixels = photo(20, 24)
    image = put(plans, "small", pixels)
    for name, cfg in (("rgb", USUAL), ("bgr", {**USUAL, "channel_order": "bgr", "mean": (0.4, 0.5, 0.6)})):
        network.pretrained_cfg = {**cfg, "input_size": (3, 20, 24)}  # type: ignore[assignment]
        for kind in ("float32", "uint8"):
            engine = sk.compile(network, (1, 3, 20, 24), **({"input": "uint8"} if kind == "uint8" else {}))
            engine.save(plans / f"{name}_{kind}.plan")
            prepare = engine_classifier_preparation(engine, cfg)
            (found,) = javascript(f"return Array.from((await sk.load(`${{plans}}/{name}_{kind}.plan`)).run({image}))")
            np.testing.assert_allclose(np.array(found, np.float32), engine(prepare(pixels)).reshape(-1), rtol=1e-4, atol=1e-5)
    _, error, message = javascript(
        f"return (await sk.load(`${{plans}}/rgb_uint8.plan`)).run({put(plans, 'large', photo(24, 20))})"
    )
    assert (error, message) == (
        "InputError",
        "Sequential: image: must be 24x20, found 20x24; classify and detect take any size",
    )


def engine_classifier_preparation(engine: Engine, cfg: dict[str, Any]) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    if engine.inputs[0].type == "uint8":
        return lambda pixels: pixels[None]
    preprocess = Preprocessing.from_config({**cfg, "input_size": (3, 20, 24)})
    scale, shift = preprocess.affine()
    return lambda pixels: (preprocess.planes(pixels.transpose(2, 0, 1)) * scale[:, None, None] + shift[:, None, None])[None]


@pytest.mark.parametrize(("name", "least"), [("nanodet_m_shufflenet_v2_x0_5", 0.3), ("fastestdet", 0.3)])
@pytest.mark.parametrize("size", [(120, 200), (90, 50)], ids=str)
def test_boxes_are_pythons(javascript: JavaScript, plans: Path, name: str, least: float, size: tuple[int, int]) -> None:
    side = 96
    network = enliven(create_detector(name, num_classes=5), images(2, (3, side, side)))
    network.pretrained_cfg = {**network.pretrained_cfg, "input_size": (3, side, side)}
    engine = sk.compile(network, (1, 3, side, side))
    engine.save(plans / "detector.plan")
    pixels = photo(*size)
    needed = engine_detector(engine, name)(pixels, least)
    assert len(needed) > 5
    assert len({each.label for each in needed}) > 1
    (found,) = javascript(
        f"return (await sk.load(`${{plans}}/detector.plan`)).detect({put(plans, 'photo', pixels)}, {{ least: {least} }})"
    )
    assert [each["label"] for each in found] == [each.label for each in needed]
    assert [each["index"] for each in found] == [each.index for each in needed]
    np.testing.assert_allclose([each["score"] for each in found], [each.score for each in needed], rtol=1e-4)
    np.testing.assert_allclose([each["box"] for each in found], [each.box for each in needed], atol=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("classify(3)", "image: must be an ImageData, found Number"),
        ("classify({ ...image, width: 3 })", "image: must have 3x20x4 bytes, found 1920"),
        ("classify(image, { top: 0 })", "top: must be a whole number of 1 or more, found 0"),
        ("detect(image, { least: 1 })", "least: must be above 0 and below 1, found 1"),
        ("detect(image)", "two: must be the plan of a detector, found that of another network"),
        ("classify(image)", "two: the network must give a vector of 2 scores or more"),
    ],
)
def test_what_is_no_photo_or_no_network_for_it(javascript: JavaScript, plans: Path, call: str, message: str) -> None:
    sk.compile(nn.Conv2d(3, 2, 1), (1, 3, 20, 24), name="two").save(plans / "two.plan")
    image = put(plans, "small", photo(20, 24))
    found = javascript(f"""
        const net = await sk.load(`${{plans}}/two.plan`), image = {image};
        try {{ net.{call} }} catch (error) {{ return [error.name, error.message, net.run(image).length] }}""")
    assert found == [["InputError", message, 2 * 20 * 24]]
