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
