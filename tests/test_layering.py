"""Walks the imports of the sources and names the line that breaks the layers of CONTRIBUTING.md's tour."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"

# Layer -> the layers it may import, beside itself. The longest name that fits a module is its layer.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "environment": {"errors"},
    "files": {"errors"},
    "shapes": {"errors"},
    "modes": set(),
    "outputs": {"errors", "modes"},
    "records": {"errors"},
    "finite": {"errors"},
    "quantization": {"errors"},
    "device": {"environment", "errors", "records", "files", "_native"},
    "models": {"environment", "errors", "files", "modes"},
    "weights": {"environment", "errors", "files", "models", "modes"},
    "data": {"errors"},
    "train": {
        "errors",
        "modes",
        "files",
        "models",
        "weights",
        "data",
        "graph",
        "graph.from_torch",
        "plan",
        "runtime",
        "_native",
    },
    "detect": {"errors", "files", "modes", "finite", "runtime", "compiling", "models", "weights", "data", "train"},
    "graph": {"errors"},
    "graph.from_torch": {"errors", "modes", "shapes", "graph"},
    "graph.from_onnx": {"errors", "shapes", "graph"},
    "graph.to_torch": {"graph"},
    "cost": {"errors", "records", "modes", "shapes", "device", "graph", "plan.kernels", "plan.program"},
    "plan.kernels": set(),
    "plan.program": {"errors", "records", "plan.kernels"},
    "plan": {"graph", "plan.kernels", "plan.program"},
    "runtime": {"errors", "files", "shapes", "plan.program", "device", "quantization", "_native"},
    "quantize": {"errors", "graph", "plan", "quantization", "runtime"},
    "tuning": {"device", "graph", "plan", "plan.kernels", "plan.program", "runtime"},
    "compiling": {"errors", "finite", "outputs", "shapes", "graph", "graph.from_onnx", "graph.from_torch", "plan", "runtime"}
    | {"data", "plan.program", "quantize", "tuning"},
    "classify": {"errors", "finite", "modes", "outputs", "models", "data", "runtime", "compiling"},
    "profiling": {"errors", "records", "modes", "shapes", "files", "device", "graph", "cost", "plan", "plan.program", "runtime"}
    | {"graph.from_torch"},
    "guidelines": {
        "errors",
        "records",
        "shapes",
        "modes",
        "device",
        "models",
        "graph",
        "graph.from_onnx",
        "compiling",
    }
    | {"profiling", "cost", "export", "graph.to_torch", "quantize"},
    "report": {"errors", "files", "records", "guidelines", "profiling"},
}
LAYERS["fitting"] = {"errors", "files", "shapes", "models", "graph", "graph.from_onnx", "cost", "compiling"}
LAYERS["fitting"] |= {"profiling", "guidelines"}
LAYERS["report"] |= {"fitting"}
LAYERS["export"] = {"errors", "files", "shapes", "finite", "outputs", "data"}
LAYERS["bench"] = {"errors", "records", "modes", "finite", "outputs", "device", "cost", "compiling", "runtime", "profiling"}
LAYERS["bench"] |= {"files", "export", "_native"}
LAYERS["reproduce"] = {"errors", "records", "files", "modes", "device", "models", "data", "train", "detect", "cost"}
LAYERS["reproduce"] |= {"compiling", "profiling", "export", "bench"}
LAYERS["cli"] = {*LAYERS, ""} - {"finite", "graph", "graph.from_onnx", "graph.from_torch", "graph.to_torch", "tuning"}
LAYERS["cli"] -= {"plan", "plan.kernels", "plan.program", "quantization", "quantize"}
LAYERS[""] = {*LAYERS}  # shufflekit itself, which hands names on lazily, and __main__

# These load without torch: on a machine without it they measure a device, read images and run a plan.
WITHOUT_TORCH = (
    "",
    "__main__",
    "errors",
    "files",
    "shapes",
    "finite",
    "device",
    "compiling",
    "tuning",
    "graph.builder",
    "graph.from_onnx",
    "graph.edits",
    "graph.ops",
    "graph.rewrites",
    "graph.simplify",
    "graph.to_onnx",
    "plan",
    "quantization",
    "quantize",
    "runtime",
    "bench.cold_start",
    "bench.runtimes",
    "export.convert",
    "export.format",
    "export.quiet",
    "export.to_executorch",
    "export.to_litert",
    "export.to_mnn",
    "export.to_ncnn",
    "export.to_onnx",
    "export.to_openvino",
    "data.preprocess",
    "data.images",
    "data.to_rgb",
    "data.classes",
    "detect.boxes",
    "detect.classes",
    "detect.coco",
    "detect.decode",
    "detect.evaluate",
    "detect.frames",
    "detect.pairing",
    "detect.photo_detector",
    "detect.prepare",
    "cli.main",
    "cli._output",
    "cli._streams",
    "cli._numbers",
    "cli._photos",
    "cli._model",
    "cli._onnx",
    "cli.compile",
    "classify.classifier",
    "outputs",
    "detect.runners",
    "cli._draw_boxes",
    "cli.predict",
    "cli.detect",
    "cli.device",
)


@cache
def imports(source: str, module: str, is_package: bool = False) -> tuple[tuple[int, str, bool], ...]:
    """Line, dotted name and whether it runs when the module is imported, of every import; `from a import b` gives `a.b`."""
    parts, found = module.split("."), []
    later = {
        child
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If)
        if not isinstance(node, ast.If) or ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ((n.lineno, n.col_offset) for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom))
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level + is_package] if node.level else []
            names = [".".join([*base, *(node.module or "").split("."), alias.name]).replace("..", ".") for alias in node.names]
        else:
            continue
        found += [(node.lineno, name, (node.lineno, node.col_offset) not in later) for name in names]
    return tuple(found)


def layer_of(name: str, folder: Path = SRC) -> str | None:
    """The layer of a dotted name, "" for shufflekit itself, None for what is not ours."""
    parts = name.split(".")
    if parts[0] != "shufflekit":
        return None
    for end in range(len(parts), 1, -1):
        if (layer := ".".join(parts[1:end])) in {*LAYERS, "_native"}:
            return layer
    below = parts[1] if len(parts) > 1 else ""
    return below if (folder / "shufflekit" / below).is_dir() and below else ""


def modules(folder: Path) -> Iterator[tuple[Path, str, bool]]:
    """Path, dotted name and whether it is a package, of every source file."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts), parts[-1] == "__init__"


def broken_layers(folder: Path) -> list[str]:
    """`file:line: ...` for every import that goes against the layers."""
    found = []
    for path, module, is_package in modules(folder):
        layer = layer_of(module, folder)
        assert layer in LAYERS, f"{path}: the layer {layer!r} has no row in this test"
        for line, name, _ in imports(path.read_text(), module, is_package):
            target = layer_of(name, folder)
            if target is not None and target != layer and target not in LAYERS[layer]:
                found.append(f"{path.relative_to(folder)}:{line}: {layer} may not import {target} ({name})")
    return found


def unused_arrows(folder: Path) -> dict[str, set[str]]:
    """What a layer may import and does not."""
    used: dict[str, set[str | None]] = {}
    for path, module, is_package in modules(folder):
        names = [name for _, name, _ in imports(path.read_text(), module, is_package)]
        used.setdefault(str(layer_of(module, folder)), set()).update(layer_of(name, folder) for name in names)
    return {layer: rest for layer, allowed in LAYERS.items() if layer and (rest := allowed - used.get(layer, set()))}


def circles(folder: Path) -> list[str]:
    """Modules that import each other over some way, late imports and those for types among them."""
    known = {module: (path, is_package) for path, module, is_package in modules(folder)}
    reached: dict[str, set[str]] = {}
    for module, (path, is_package) in known.items():
        names = (name for _, name, _ in imports(path.read_text(), module, is_package))
        found = {name if name in known else name.rpartition(".")[0] for name in names}
        reached[module] = (found & known.keys()) - {module, "shufflekit"}  # which hands names on, and knows where they are
    for middle in known:  # Warshall's closure
        for module in known:
            if middle in reached[module]:
                reached[module] |= reached[middle]
    return sorted(module for module in known if module in reached[module])


def imports_of(package: str, folder: Path, at_import_only: bool = False) -> list[tuple[str, str]]:
    """Module and `file:line` of every import of a third-party package."""
    return [
        (module, f"{path.relative_to(folder)}:{line}")
        for path, module, is_package in modules(folder)
        for line, name, at_import in imports(path.read_text(), module, is_package)
        if name.split(".")[0] == package and (at_import or not at_import_only)
    ]


def test_layers_hold() -> None:
    assert broken_layers(SRC) == []


def test_every_arrow_is_used() -> None:
    assert unused_arrows(SRC) == {}


def test_no_modules_import_each_other() -> None:
    assert circles(SRC) == []


def test_a_planted_circle_is_found_also_where_it_is_late_or_for_types(tmp_path: Path) -> None:
    package = tmp_path / "shufflekit"
    package.mkdir()
    (package / "a.py").write_text("from shufflekit import b\n")
    (package / "b.py").write_text("def late():\n    from shufflekit.c import word\n")
    (package / "c.py").write_text("if TYPE_CHECKING:\n    from shufflekit.a import Kind\n")
    (package / "d.py").write_text("from shufflekit import a\n")
    assert circles(tmp_path) == ["shufflekit.a", "shufflekit.b", "shufflekit.c"]


def test_a_planted_violation_is_named(tmp_path: Path) -> None:
    package = tmp_path / "shufflekit"
    for name in ("models", "train"):
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").write_text("")
    (package / "models" / "net.py").write_text("import torch\n\ndef late():\n    from shufflekit.train import loop\n")
    (package / "models" / "near.py").write_text(
        "from .. import train\nfrom . import net\nfrom shufflekit.errors import UsageError\n"
    )
    (package / "train" / "loop.py").write_text("from shufflekit import models, cli\nfrom ..models.net import late\n")
    assert broken_layers(tmp_path) == [
        "shufflekit/models/near.py:1: models may not import train (shufflekit.train)",
        "shufflekit/models/net.py:4: models may not import train (shufflekit.train.loop)",
        "shufflekit/train/loop.py:1: train may not import cli (shufflekit.cli)",
    ]


def test_an_unknown_layer_must_get_a_row(tmp_path: Path) -> None:
    (tmp_path / "shufflekit" / "new").mkdir(parents=True)
    (tmp_path / "shufflekit" / "new" / "__init__.py").write_text("")
    with pytest.raises(AssertionError, match="the layer 'new' has no row"):
        broken_layers(tmp_path)


def test_nothing_imports_torchvision_or_what_needs_it() -> None:
    assert [imports_of(package, SRC) for package in ("torchvision", "timm", "litdata")] == [[], [], []]


def test_what_must_load_without_torch_does_not_import_it() -> None:
    free = tuple(f"shufflekit.{name}".rstrip(".") for name in WITHOUT_TORCH)
    found = [
        where
        for module, where in imports_of("torch", SRC, at_import_only=True)
        if module == "shufflekit" or any(module == name or module.startswith(f"{name}.") for name in free[1:])
    ]
    assert found == []


def test_a_late_import_of_torch_is_told_from_one_at_import(tmp_path: Path) -> None:
    source = "import torch\ndef late():\n    import torch\nif TYPE_CHECKING:\n    from torch import nn\n"
    assert [(line, at_import) for line, _, at_import in imports(source, "shufflekit.x")] == [(1, True), (3, False), (5, False)]


def test_only_the_bindings_include_nanobind() -> None:
    sources = [path for path in (ROOT / "native").rglob("*") if path.suffix in {".h", ".cpp", ".c", ".cc"}]
    assert [path.name for path in sources if "nanobind/" in path.read_text()] == ["bindings.cpp"]
