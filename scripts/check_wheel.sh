#!/usr/bin/env bash
# Builds the source archive, from it the wheel, and proves the wheel where there is no compiler, no CMake and no torch.
#   PYTHON  the Python to build and to install with; that of .venv by default
#   OUT     where both files are left; ./dist by default
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=${OUT:-dist}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "check_wheel: $*" >&2; exit 1; }

"$python" -m venv "$work/tools"
"$work/tools/bin/python" -m pip install --quiet -c constraints.txt build
PIP_CONSTRAINT=$PWD/constraints.txt "$work/tools/bin/python" -m build --outdir "$work/dist" . >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "the build failed"; }
mkdir -p "$out" && cp "$work"/dist/* "$out"
wheel=$(echo "$work"/dist/*.whl) archive=$(echo "$work"/dist/*.tar.gz)
echo "built $(basename "$wheel") ($(du -k "$wheel" | cut -f1) KB) and $(basename "$archive") ($(du -k "$archive" | cut -f1) KB)"

# Both hold what they should and nothing else: top-level names, and no tests, caches or build leftovers anywhere.
names_of() { "$python" -c 'import sys, tarfile, zipfile
path = sys.argv[1]
print(*(zipfile.ZipFile(path).namelist() if path.endswith(".whl") else tarfile.open(path).getnames()), sep="\n")' "$1"; }
names_of "$wheel" >"$work/wheel_names"
names_of "$archive" | cut -d/ -f2- >"$work/archive_names"
grep -E '(^|/)(tests?|benchmarks|__pycache__|\.git.*|build|CMakeCache.*)(/|$)|\.(o|a|pyc)$' "$work/wheel_names" "$work/archive_names" &&
    fail "these do not belong there"
grep -vE '^(shufflekit/|shufflekit-[^/]*\.dist-info/)' "$work/wheel_names" && fail "the wheel puts these beside the package"
grep -vE '^(shufflekit-.*|src(/.*)?|native(/.*)?|cmake(/.*)?|CMakeLists.txt|pyproject.toml|README.md|LICENSE|CHANGELOG.md|PKG-INFO)$' \
    "$work/archive_names" && fail "the source archive holds these too"
for name in shufflekit/_native.pyi shufflekit/py.typed dist-info/licenses/LICENSE; do
    grep -q "$name" "$work/wheel_names" || fail "the wheel lacks $name"
done
grep -qE '^shufflekit/_native\..*so$' "$work/wheel_names" || fail "the wheel lacks the compiled part"

# A fresh environment, run with nothing on the PATH but its own commands, and every compiler set to one that fails.
"$python" -m venv "$work/fresh"
bare() { env -i HOME="$work" PATH="$work/fresh/bin" CC=/bin/false CXX=/bin/false SHUFFLEKIT_CACHE="$work/cache" "$@"; }
pip_settings=$(env | grep -E '^(PIP|SSL|HTTPS?_PROXY|https?_proxy)' || true)
# shellcheck disable=SC2086  # one word a setting
bare $pip_settings python -m pip install --quiet --only-binary :all: "$wheel"
for tool in gcc g++ cc c++ clang cmake ninja make; do
    if bare python -c "import shutil, sys; sys.exit(shutil.which('$tool') is None)"; then fail "$tool is on the PATH"; fi
done

bare python -c 'import torch' 2>/dev/null && fail "torch is there"
bare shufflekit --help | grep -q device || fail "--help"
bare shufflekit device --json >"$work/device.json" || fail "device"
bare python -c 'import json, sys
device = json.load(open(sys.argv[1]))
best = next(peak for peak in device["peaks"] if peak["instruction_set"] == device["fastest"])
print("device:", device["cpu"], device["fastest"], round(best["one_core"]["best"] / 1e9, 1), "G multiply-adds/s, one core")' "$work/device.json"
bare shufflekit predict docs/detection/chelsea.jpg --topk 1 2>"$work/stderr" | grep -q ' cat$' || fail "predict: $(cat "$work/stderr")"
code=0
bare shufflekit models >"$work/stdout" 2>"$work/stderr" || code=$?
[ "$code" = 2 ] && [ ! -s "$work/stdout" ] && [ "$(wc -l <"$work/stderr")" = 1 ] && grep -q "shufflekit\[torch\]" "$work/stderr" ||
    fail "models without torch: exit $code, $(cat "$work/stderr")"
echo "models, without torch: $(cat "$work/stderr")"
echo "the wheel works without a compiler and without torch"
