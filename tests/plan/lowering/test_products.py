"""Products on the engine: what PyTorch computes, by these kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.errors import UsageError
from tests.graph.rewrites.networks import Of

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def heads(x: Tensor, count: int = 2) -> Tensor:
    return x.unflatten(2, (count, -1)).transpose(1, 2)


def attention(x: Tensor, qkv: nn.Linear, out: nn.Linear, **how: object) -> Tensor:
    q, k, v = (heads(each) for each in qkv(x).chunk(3, 2))
    return out(F.scaled_dot_product_attention(q, k, v, **how).transpose(1, 2).flatten(2))  # type: ignore[arg-type]


def by_hand(x: Tensor, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    q, k, v = qkv(x).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    return out((((q * 0.5) @ k.transpose(2, 3)).softmax(3) @ v).transpose(1, 2).flatten(2))


def in_windows(x: Tensor, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    """Each 3 x 2 pixels by themselves, as Swin has them, which counts them with the images."""
    rows = x.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 3)).transpose(2, 3)  # (N, 2, 3, 3, 2, C)
    return attention(rows.flatten(3, 4).flatten(0, 2), qkv, out).unflatten(0, (-1, 2, 3)).flatten(1, 3)


MASK = torch.zeros(6, 6).masked_fill(torch.arange(36).reshape(6, 6) % 5 == 1, -100.0)
ATTENTION = ["gemm", "matmul", "softmax", "matmul", "gemm"]
# The kernels between that which brings the input in and that which hands the result out.
NETWORKS: dict[str, tuple[Of, list[str]]] = {
    "linear of tokens": (Of(lambda x, a, b: b(a(tokens(x)).relu()), nn.Linear(8, 5), nn.Linear(5, 7)), ["gemm", "gemm"]),
    "linear of channels last": (Of(lambda x, a: a(x.permute(0, 2, 3, 1)), nn.Linear(8, 5)), ["gemm"]),
    "linear of tokens, a sum": (
        Of(lambda x, a, b: (y := a(tokens(x))) + b(y), nn.Linear(8, 5), nn.Linear(5, 5)), ["gemm", "gemm"],
    ),
    "linear of columns": (Of(lambda x, a: a(x), nn.Linear(6, 5)), ["gemm"]),
    "a matrix from the left": (Of(lambda x, a: a.weight @ x.flatten(2), nn.Linear(8, 5)), ["gemm"]),
    "a matrix from the right": (Of(lambda x, a: tokens(x) @ a.weight, nn.Linear(5, 8)), ["gemm"]),
    "attention": (Of(lambda x, a, b: attention(tokens(x), a, b), nn.Linear(8, 24), nn.Linear(8, 8)), ATTENTION),
    "attention by hand": (
        Of(lambda x, a, b: by_hand(tokens(x), a, b), nn.Linear(8, 24), nn.Linear(8, 8)), ["gemm", "affine", *ATTENTION[1:]],
    ),
    "attention, causal": (
        Of(lambda x, a, b: attention(tokens(x), a, b, is_causal=True), nn.Linear(8, 24), nn.Linear(8, 8)),
        [*ATTENTION[:2], "binary_constant", *ATTENTION[2:]],
    ),
    "attention with a mask": (
        Of(lambda x, a, b: attention(tokens(x)[:, :6], a, b, attn_mask=MASK), nn.Linear(8, 24), nn.Linear(8, 8)), [],
    ),
    "attention in windows": (Of(lambda x, a, b: in_windows(x, a, b), nn.Linear(8, 24), nn.Linear(8, 8)), []),
    "a depthwise of two taps": (Of(lambda x, a: a(x), nn.Conv2d(8, 8, (1, 2), groups=8)), ["depthwise"]),
    "transposed, in groups": (
        Of(lambda x, a: a(x[:, :, :5]), nn.ConvTranspose2d(8, 6, (4, 2), (3, 2), (1, 0), (1, 1), groups=2)), [],
    ),
    "transposed, of one row": (
        Of(lambda x, a: a(x.mean(2)), nn.ConvTranspose1d(8, 4, 5, 3, 1, 2, dilation=2, groups=4)), [],
    ),
    "bmm": (Of(lambda x: torch.bmm(tokens(x), x.flatten(2))), ["matmul"]),
    "bmm, the other way": (Of(lambda x: torch.bmm(x.flatten(2), tokens(x))), ["gather", "matmul"]),
    "baddbmm": (Of(lambda x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2], alpha=0.5)), []),
    "spread over heads": (Of(lambda x: torch.matmul(x[:, :1], x.transpose(2, 3))), []),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_torchs(name: str) -> None:
    """An empty list of kernels: whichever."""
    network, kernels = NETWORKS[name]
    torch.manual_seed(0)
    x = torch.randn(3, 8, 6, 6)
    engine = sk.compile(network, (1, 8, 6, 6))
    with torch.no_grad():
        expected = network(x).numpy()
    np.testing.assert_allclose(engine(x.numpy()), expected, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(expected).max()))
    found = [step.kernel for step in engine.program.steps]
    assert not kernels or found == ["gather", *kernels, "gather"]


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (
            lambda x: x.flatten(1).transpose(0, 1) @ x.flatten(1),
            r"of \(288, N\) and \(N, 288\): matrices in the same dimensions",
        ),
    ],
)
def test_what_is_no_such_product_is_refused(forward: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sk.compile(Of(forward), (1, 8, 6, 6))


def test_maps_of_one_side() -> None:
    """As a map of one row: convolutions, pools, and what ends them."""
    layers = (
        *(nn.Conv1d(8, 12, 3, 2, 1), nn.PReLU(12, 0.3), nn.Conv1d(12, 12, 3, 1, 2, 2, groups=12), nn.ReLU()),
        *(nn.MaxPool1d(3, 2, 1), nn.ConvTranspose1d(12, 6, 4, 2, 1), nn.AvgPool1d(2, 1, 1), nn.AdaptiveAvgPool1d(5)),
    )
    network, x = Of(lambda x, net: net(x.flatten(2)), nn.Sequential(*layers)), torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        expected = network(x).numpy()
    np.testing.assert_allclose(sk.compile(network, (1, 8, 6, 6))(x.numpy()), expected, rtol=1e-5, atol=1e-5)
