"""`import shufflekit` is light, hands names on when they are asked for, and says which extra is missing."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest

import shufflekit as sk


def run(code: str) -> str:
    """What a fresh Python prints that runs `code`."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# A finder that makes a package look as if it were not installed.
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "huggingface_hub"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""


def test_every_public_name_is_there() -> None:
    pytest.importorskip("torch")
    for name in sk.__all__:
        assert getattr(sk, name) is not None, name
    assert set(sk.__all__) <= set(dir(sk))


def test_type_checkers_see_the_same_names() -> None:
    block = next(node for node in ast.parse(inspect.getsource(sk)).body if isinstance(node, ast.If))
    seen = {alias.asname: line.module for line in block.body if isinstance(line, ast.ImportFrom) for alias in line.names}
    assert seen == sk._HOME


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'channel_mixer'"):
        sk.channel_mixer  # noqa: B018


@pytest.mark.parametrize("module", sorted(set(sk._HOME.values())))
def test_public_functions_are_no_modules_whatever_was_imported(module: str) -> None:
    pytest.importorskip("torch")
    import_module(module)
    assert {name for name in sk._HOME if not isinstance(getattr(sk, name), FunctionType)} == set()


@pytest.mark.parametrize(("old", "now"), sk._MOVED.items())
def test_an_old_path_says_the_new_one_in_a_line(old: str, now: str) -> None:
    for path in (old, f"{old}.record"):
        with pytest.raises(ImportError, match=rf"^{old} is now {now}$"):
            import_module(path)
    pytest.importorskip("torch")
    import_module(now)


def test_an_old_path_says_so_also_where_its_folder_was_left_behind(tmp_path: Path) -> None:
    (tmp_path / "profile" / "__pycache__").mkdir(parents=True)
    code = f"""
import shufflekit as sk
sk.__path__.append({str(tmp_path)!r})
try:
    from shufflekit.profile import Latency
except ImportError as error:
    print(error)
"""
    assert run(code) == "shufflekit.profile is now shufflekit.profiling"


@pytest.mark.parametrize(
    "module",
    [
        "shufflekit",
        "shufflekit.device",
        "shufflekit.runtime",
        "shufflekit.cli.main",
        "shufflekit.data.preprocess",
        "shufflekit.data.images",
    ],
)
def test_loads_without_torch(module: str) -> None:
    assert run(f"import sys, {module}; print('torch' in sys.modules)") == "False"


def test_a_missing_package_is_told_by_its_extra() -> None:
    code = f"""{HIDE}
import shufflekit as sk
try:
    sk.create_model
except sk.errors.MissingExtraError as error:
    print(error)
"""
    assert run(code) == "torch is not installed: pip install 'shufflekit[torch]'"


@pytest.mark.parametrize("verb", ["models", "demo"])
def test_a_command_tells_the_missing_extra_in_one_line(verb: str) -> None:
    code = f"""{HIDE}
from shufflekit.cli.main import main
code = main([{verb!r}])
print(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "shufflekit: torch is not installed: pip install 'shufflekit[torch]'\n")
