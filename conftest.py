"""For the doctests of src/: modules are imported the ordinary way before pytest looks at them."""

from __future__ import annotations

import contextlib
from importlib import import_module
from pathlib import Path

_SRC = Path(__file__).parent / "src"


def pytest_collect_file(file_path: Path) -> None:
    """Else pytest (9.2, importlib mode) runs a module a second time that its package has imported: two registries."""
    if file_path.suffix == ".py" and file_path.is_relative_to(_SRC):
        parts = file_path.relative_to(_SRC).with_suffix("").parts
        with contextlib.suppress(ImportError):  # pytest tells of it in its own words
            import_module(".".join(part for part in parts if part != "__init__"))
