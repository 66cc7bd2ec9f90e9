"""The `shufflekit` command: finds the verb, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError, UnknownCommandError

from shufflekit import __version__
from shufflekit.cli._numbers import check_numbers
from shufflekit.cli._output import notice
from shufflekit.cli._streams import drop, kept_streams
from shufflekit.errors import InputError, ShufflekitError, UsageError, missing_extra, one_line

# A verb is the function of that name in cli/<verb>.py, imported only when it is asked for.
_VERBS = {
    "models": "List the networks with parameters, FLOPs, memory access cost and published error.",
    "predict": "Classify photos.",
    "detect": "Find objects on photos.",
    "train": "Train a network.",
    "evaluate": "Measure a network's accuracy on a data set.",
    "profile": "Count and time each operator of a network, beside this machine's limit.",
    "audit": "Hold a network against the guidelines, with the price of each finding on this machine.",
    "fit": "Find the widths and depths that use a latency budget best on this machine.",
    "table": "Write what each distinct operator of some networks takes on this machine.",
    "compile": "Compile a network to a plan, a file that runs without PyTorch.",
    "guidelines": "Measure the guidelines of ShuffleNet V2 on this machine, beside the paper's numbers.",
    "bench": "Race PyTorch, the engine and other runtimes on this machine.",
    "reproduce": "Make tables of the papers again on this machine.",
    "export": "Export a network to other runtimes: ONNX, OpenVINO, ncnn, MNN, ExecuTorch, LiteRT.",
    "device": "Measure what this machine can do at most: multiply-adds and bandwidth.",
    "demo": "Show a network at work on real photos, with its costs and its latency here.",
}

_NO_MEMORY = "(out of|allocate|not enough) memory"  # PyTorch says so in a RuntimeError

app = App(
    name="shufflekit",
    help="Small convolutional networks that are fast by the stopwatch.",
    version=__version__,
    config=check_numbers,
)
for _verb, _help in _VERBS.items():
    app.command(f"shufflekit.cli.{_verb}:{_verb}", name=_verb, help=_help)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: what follows `shufflekit` on the command line; `sys.argv[1:]` by default.

    Returns:
        The exit code: 0 fine, 1 a finding, failed check or bad input file, 2 wrong usage, 130 interrupted.

    Example:
        >>> main(["--version"])
        0.1.0
        0
    """
    with kept_streams():
        try:
            return _run(sys.argv[1:] if arguments is None else list(arguments))
        except BrokenPipeError:
            drop(sys.stdout)
            return 1
        except KeyboardInterrupt:
            return 130
        except UnknownCommandError as error:
            return _refuse(_unknown_verb((error.unused_tokens or [""])[0]))
        except CycloptsError as error:
            return _refuse(UsageError(str(error)))
        except ShufflekitError as error:
            return _refuse(error)
        except (ImportError, OSError, MemoryError, RecursionError, UnicodeError, RuntimeError) as error:
            known = missing_extra(error) or _of_the_machine(error)
            if known is None:
                raise
            return _refuse(known)


def _run(arguments: list[str]) -> int:
    result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    sys.stdout.flush()  # a reader who left, or a full disk, is noticed here and not at exit
    return result if isinstance(result, int) else 0


def _of_the_machine(error: BaseException) -> ShufflekitError | None:
    """What files, memory and encodings cause, wherever it shows; None for what only a defect of ours can be."""
    if isinstance(error, OSError):
        return InputError(f"{error.filename}: {error.strerror}" if error.filename is not None else one_line(error))
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and re.search(_NO_MEMORY, str(error))):
        return InputError(f"memory: there is too little ({one_line(error)})")
    if isinstance(error, RecursionError):
        return InputError(f"nested too deeply ({one_line(error)})")
    return InputError(one_line(error)) if isinstance(error, UnicodeError) else None


def _unknown_verb(word: str) -> UsageError:
    near = difflib.get_close_matches(word, _VERBS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(_VERBS)} is needed"
    return UsageError(f"no command is named {word!r}; {hint}")


def _refuse(error: ShufflekitError) -> int:
    notice(str(error))
    return error.exit_code
