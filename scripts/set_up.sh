#!/usr/bin/env bash
# Makes .venv with the package (editable), its extras and the tools. `make` calls this when its inputs have changed.
# Usage: set_up.sh [EXTRA,...]; `make test` names the one of the other runtimes too, since it tests against them.
#   PYTHON       the Python to use, 3.11 or newer; the first fitting one on the PATH by default
#   TORCH_INDEX  one more index to look for torch in, such as https://download.pytorch.org/whl/cpu, which has builds
#                without CUDA (0.2 GB in place of some GB); none by default
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "set-up: $*" >&2; }

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=""
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if fits "$candidate"; then python=$candidate && break; fi
done
if [ -z "$python" ]; then
    say "Python 3.11 or newer is needed, found none; PYTHON=/path/to/python make ... names one"
    exit 1
fi
version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')

can_make_environments() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
has_headers() { "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; }
has_compiler() { command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null; }

packages=()
can_make_environments || packages+=("$version-venv")
has_headers || packages+=("$version-dev")
has_compiler || packages+=(g++)
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${packages[*]}"
        { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } >/dev/null || say "that failed"
    else
        say "missing: sudo apt-get install ${packages[*]}"
    fi
fi
can_make_environments || { say "stopped: $python cannot make a virtual environment without $version-venv"; exit 1; }

build=()
if ! has_headers || ! has_compiler; then
    say "going on without the compiled part: it needs a C++ compiler and $version-dev; \`shufflekit device\` will be missing"
    build=(-C wheel.cmake=false -C wheel.py-api=py3)
fi

if ! { fits .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@"; }

say "installing torch, the package with its extras, and the tools; some minutes the first time"
install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch
install cmake nanobind ninja scikit-build-core
install --no-build-isolation ${build[@]+"${build[@]}"} --editable ".[${1:-all,dev}]"
say "done"
