"""What computes each element by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape


@dataclass(frozen=True)
class ElementWise(Operator):
    """Of one tensor of any shape."""

    category: ClassVar[Category] = "element-wise"

    def shape(self, x: Shape) -> Shape:
        return x


@dataclass(frozen=True)
class Activation(ElementWise):
    """One that the kernel of an operator before it can end with, see `Node.activation`.

    `by_channel`: it is another one for each channel, which is dimension 1.
    """

    by_channel: ClassVar[bool] = False


@dataclass(frozen=True)
class Sin(ElementWise):
    """The sine of an angle in radians."""

    name: ClassVar[str] = "sin"

    def reference(self, x: Array) -> Array:
        return np.sin(x)


@dataclass(frozen=True)
class Cos(ElementWise):
    """The cosine of an angle in radians."""

    name: ClassVar[str] = "cos"

    def reference(self, x: Array) -> Array:
        return np.cos(x)


@dataclass(frozen=True)
class Sign(ElementWise):
    """1 of a number more than 0, -1 of one less than 0, else 0."""

    name: ClassVar[str] = "sign"

    def reference(self, x: Array) -> Array:
        return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


@dataclass(frozen=True)
class Relu(Activation):
    """max(x, 0)."""

    name: ClassVar[str] = "relu"

    def reference(self, x: Array) -> Array:
        return np.maximum(x, 0)


@dataclass(frozen=True)
class Relu6(Activation):
    """x within 0 and 6."""

    name: ClassVar[str] = "relu6"

    def reference(self, x: Array) -> Array:
        return np.clip(x, 0, 6)


@dataclass(frozen=True)
class Hardsigmoid(Activation):
    """x + 3 within 0 and 6, / 6."""

    name: ClassVar[str] = "hardsigmoid"

    def reference(self, x: Array) -> Array:
        return np.clip(x + 3, 0, 6) / 6


@dataclass(frozen=True)
class Hardswish(Activation):
    """x * hardsigmoid(x)."""

    name: ClassVar[str] = "hardswish"
    aten: ClassVar[tuple[str, ...]] = ("hardswish", "hardswish_")

    def reference(self, x: Array) -> Array:
        return x * Hardsigmoid().reference(x)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """1 / (1 + e^-x)."""

    name: ClassVar[str] = "sigmoid"

    def reference(self, x: Array) -> Array:
        small = np.exp(-np.abs(x))  # which overflows nowhere
        return np.where(x < 0, small, 1) / (1 + small)


@dataclass(frozen=True)
class Silu(Activation):
    """x * sigmoid(x)."""

    name: ClassVar[str] = "silu"

    def reference(self, x: Array) -> Array:
        return x * Sigmoid().reference(x)


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """x, or slope * x where x is negative."""

    name: ClassVar[str] = "leaky_relu"

    slope: float = 0.01

    def reference(self, x: Array) -> Array:
        return np.where(x > 0, x, x * self.slope)


@dataclass(frozen=True)
class PRelu(Activation):
    """x, or slope * x where x is negative, with a slope for each channel."""

    name: ClassVar[str] = "prelu"
    aten: ClassVar[tuple[str, ...]] = ("prelu", "_prelu_kernel")
    by_channel: ClassVar[bool] = True

    slopes: tuple[float, ...]

    def shape(self, x: Shape) -> Shape:
        if len(x) < 2 or x[1] != len(self.slopes):
            raise RefusedError(f"{len(self.slopes)} slopes do not fit the channels of {x}")
        return x

    def reference(self, x: Array) -> Array:
        slopes = np.array(self.slopes, x.dtype).reshape(-1, *(1,) * (x.ndim - 2))
        return np.where(x > 0, x, x * slopes)


@dataclass(frozen=True)
class Clamp(Activation):
    """x within `low` and `high`, which may be infinite; `high` where they contradict."""

    name: ClassVar[str] = "clamp"

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        for bound in ("low", "high"):
            self.require(bound, not math.isnan(getattr(self, bound)), "a number")

    def reference(self, x: Array) -> Array:
        return np.minimum(np.maximum(x, self.low), self.high)


@dataclass(frozen=True)
class Threshold(Activation):
    """x, or `value` where x is not more than `threshold`."""

    name: ClassVar[str] = "threshold"

    threshold: float
    value: float

    def reference(self, x: Array) -> Array:
        return np.where(x <= self.threshold, np.array(self.value, x.dtype), x)


@dataclass(frozen=True)
class Tanh(Activation):
    """The hyperbolic tangent."""

    name: ClassVar[str] = "tanh"

    def reference(self, x: Array) -> Array:
        return np.tanh(x)


@dataclass(frozen=True)
class Gelu(Activation):
    """x times the share of a normal distribution below x: by the error function, or by tanh, which is near it."""

    name: ClassVar[str] = "gelu"

    approximate: Literal["none", "tanh"] = "none"

    def __post_init__(self) -> None:
        self.require("approximate", self.approximate in ("none", "tanh"), "none or tanh")

    def reference(self, x: Array) -> Array:
        if self.approximate == "tanh":
            return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
        return x * 0.5 * (1 + Erf().reference(x * math.sqrt(0.5)))


@dataclass(frozen=True)
class Elu(Activation):
    """x, or alpha * (e^x - 1) where x is not more than zero."""

    name: ClassVar[str] = "elu"

    alpha: float = 1.0

    def reference(self, x: Array) -> Array:
        return np.maximum(x, 0) + self.alpha * np.expm1(np.minimum(x, 0))


@dataclass(frozen=True)
class Celu(Activation):
    """x, or alpha * (e^(x / alpha) - 1) where x is not more than zero."""

    name: ClassVar[str] = "celu"

    alpha: float = 1.0

    def __post_init__(self) -> None:
        self.require("alpha", self.alpha > 0, "more than 0")

    def reference(self, x: Array) -> Array:
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0) / self.alpha))


@dataclass(frozen=True)
class Selu(Activation):
    """gamma * x, or gamma * alpha * (e^x - 1) where x is not more than zero."""

    name: ClassVar[str] = "selu"

    alpha: float = 1.6732632423543772
    gamma: float = 1.0507009873554805

    def reference(self, x: Array) -> Array:
        return self.gamma * np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))


@dataclass(frozen=True)
class Softplus(Activation):
    """log(1 + e^(beta x)) / beta, and x where beta x is more than `threshold`."""

    name: ClassVar[str] = "softplus"

    beta: float = 1.0
    threshold: float = 20.0

    def __post_init__(self) -> None:
        self.require("beta", self.beta != 0, "other than 0")

    def reference(self, x: Array) -> Array:
        return np.where(x * self.beta > self.threshold, x, np.logaddexp(x * self.beta, x.dtype.type(0)) / self.beta)


@dataclass(frozen=True)
class LogSigmoid(Activation):
    """log(sigmoid(x))."""

    name: ClassVar[str] = "log_sigmoid"
    aten: ClassVar[tuple[str, ...]] = ("log_sigmoid_forward",)

    def reference(self, x: Array) -> Array:
        return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@dataclass(frozen=True)
class Mish(Activation):
    """x * tanh(softplus(x))."""

    name: ClassVar[str] = "mish"

    def reference(self, x: Array) -> Array:
        return x * np.tanh(np.logaddexp(x, x.dtype.type(0)))


@dataclass(frozen=True)
class Exp(Activation):
    """e^x."""

    name: ClassVar[str] = "exp"

    def reference(self, x: Array) -> Array:
        return np.exp(x)


@dataclass(frozen=True)
class Log(Activation):
    """The natural logarithm; NaN below zero."""

    name: ClassVar[str] = "log"

    def reference(self, x: Array) -> Array:
        return np.log(x)


@dataclass(frozen=True)
class Sqrt(Activation):
    """The square root; NaN below zero."""

    name: ClassVar[str] = "sqrt"

    def reference(self, x: Array) -> Array:
        return np.sqrt(x)


@dataclass(frozen=True)
class Rsqrt(Activation):
    """1 / sqrt(x)."""

    name: ClassVar[str] = "rsqrt"

    def reference(self, x: Array) -> Array:
        return 1 / np.sqrt(x)


@dataclass(frozen=True)
class Reciprocal(Activation):
    """1 / x."""

    name: ClassVar[str] = "reciprocal"

    def reference(self, x: Array) -> Array:
        return 1 / x


@dataclass(frozen=True)
class Power(Activation):
    """x^exponent; NaN of a number below zero unless the exponent is whole."""

    name: ClassVar[str] = "power"

    exponent: float

    def __post_init__(self) -> None:
        self.require("exponent", math.isfinite(self.exponent), "a number")

    def reference(self, x: Array) -> Array:
        return np.power(x, x.dtype.type(self.exponent))


@dataclass(frozen=True)
class Abs(Activation):
    """The number without its sign."""

    name: ClassVar[str] = "abs"

    def reference(self, x: Array) -> Array:
        return np.abs(x)


@dataclass(frozen=True)
class Erf(Activation):
    """The error function."""

    name: ClassVar[str] = "erf"

    def reference(self, x: Array) -> Array:
        return np.array([math.erf(each) for each in x.reshape(-1).tolist()], x.dtype).reshape(x.shape)


@dataclass(frozen=True)
class Floor(Activation):
    """The largest whole number that is not more."""

    name: ClassVar[str] = "floor"

    def reference(self, x: Array) -> Array:
        return np.floor(x)


@dataclass(frozen=True)
class Ceil(Activation):
    """The smallest whole number that is not less."""

    name: ClassVar[str] = "ceil"

    def reference(self, x: Array) -> Array:
        return np.ceil(x)


@dataclass(frozen=True)
class Round(Activation):
    """The nearest whole number, the even one of two."""

    name: ClassVar[str] = "round"

    def reference(self, x: Array) -> Array:
        return np.rint(x)
