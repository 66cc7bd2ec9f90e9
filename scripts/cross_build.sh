#!/usr/bin/env bash
# Builds skrun, libshufflekit.a and the kernels' tests, statically linked, for Linux on other processors:
#   scripts/cross_build.sh [aarch64|x86_64]...     both by default; into build/zig-aarch64, build/zig-x86_64
# It needs cmake and ninja (in .venv after `make setup`) and ziglang, a Clang for every target:
#   .venv/bin/pip install -c constraints.txt ziglang
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
[ $# -gt 0 ] || set -- aarch64 x86_64

for processor in "$@"; do
    build="$PWD/build/zig-$processor"
    scripts/zig_tools.sh "$processor-linux-musl" "$build"
    cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$processor" \
        -Wno-unused-cli -DCMAKE_CXX_COMPILER="$build/zig-c++" -DCMAKE_C_COMPILER="$build/zig-cc" -DCMAKE_AR="$build/zig-ar" \
        -DCMAKE_RANLIB="$build/zig-ranlib" -DCMAKE_EXE_LINKER_FLAGS="-static -s" \
        -DSHUFFLEKIT_PYTHON=OFF -DSHUFFLEKIT_C=ON -DSHUFFLEKIT_TESTS=ON >"$build/configure.log"
    cmake --build "$build" >"$build/build.log" || { grep -E "error|FAILED" -A 4 "$build/build.log" >&2; exit 1; }
    echo "$build"
done
