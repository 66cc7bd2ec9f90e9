"""Our exception types: what a user can cause, one line each; the command line turns them into its exit code."""


class ShufflekitError(Exception):
    """Anything that shufflekit refuses; the message names the thing, the value found and the value needed."""

    exit_code = 1


class UsageError(ShufflekitError, ValueError):
    """A name or number that the caller got wrong."""

    exit_code = 2


class InputError(ShufflekitError, ValueError):
    """A file, folder or tensor that cannot be used."""


class WeightsError(ShufflekitError, RuntimeError):
    """Weights that do not fit, or that are not what they claim to be."""


class DownloadError(WeightsError):
    """Weights that could not be fetched."""


class MissingExtraError(ShufflekitError, ImportError):
    """A command needs an optional part of the package that is not installed."""

    exit_code = 2

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed: pip install 'shufflekit[{extra}]'")
        self.extra = extra


class NotBuiltError(ShufflekitError, ImportError):
    """The package was installed without its compiled part."""

    def __init__(self) -> None:
        super().__init__(
            "the compiled part is missing: `pip install .` in the source folder builds it (needs a C++20 compiler)"
        )


# Third-party package -> the extra that brings it.
_EXTRAS = {
    "torch": "torch",
    "huggingface_hub": "torch",
    "accelerate": "train",
    "kornia": "train",
    "pyarrow": "train",
    "simplejpeg": "train",
    "tensorboard": "train",
    "torchmetrics": "train",
    "webdataset": "train",
    "skimage": "demo",
    "altair": "report",
    "jinja2": "report",
    "vl_convert": "report",
    "onnx": "onnx",
    "faster_coco_eval": "detect",
}


def missing_extra(error: BaseException | None) -> MissingExtraError | None:
    """The extra behind a failed import, also when that error was wrapped in another; None where it is something else."""
    while error is not None and not isinstance(error, MissingExtraError):
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            package = error.name.partition(".")[0]
            if package in _EXTRAS:
                return MissingExtraError(package, _EXTRAS[package])
        error = error.__cause__
    return error


def kind_and_line(error: BaseException) -> str:
    """Kind and first line of an error of some other package, in at most 200 characters.

    Example:
        >>> kind_and_line(RuntimeError("no such operator\\nand a page of text")), kind_and_line(RuntimeError())
        ('RuntimeError: no such operator', 'RuntimeError')
    """
    kind, line = type(error).__name__, one_line(error)
    return kind if line == kind else f"{kind}: {line}"[:200]


def one_line(error: BaseException) -> str:
    """What an error says in its first line, or what it is called where it says nothing.

    Example:
        >>> one_line(ValueError("no room\\nhere")), one_line(KeyError()), one_line(MemoryError("  "))
        ('no room', 'KeyError', 'MemoryError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0].strip()
