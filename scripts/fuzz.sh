#!/usr/bin/env bash
# Tries hostile plan files on an engine built with the address and undefined-behaviour sanitizers:
#   scripts/fuzz.sh [N]     N of them, 200000 by default; CXX=clang++ uses libFuzzer, guided by coverage, others a driver of ours
# What is found stops it, and is kept in build/fuzz-*/; the counts at the end say how far the files came.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
runs=${1:-200000}
compiler=${CXX:-c++}
build="$PWD/build/fuzz-$(basename "$compiler")"

mkdir -p "$build"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$compiler" \
    -DSHUFFLEKIT_PYTHON=OFF -DSHUFFLEKIT_FUZZ=ON >"$build/configure.log"
cmake --build "$build" --target plan_fuzz >"$build/build.log" || { grep -E "error|FAILED" -A 4 "$build/build.log" >&2; exit 1; }
python native/fuzz/make_seeds.py "$build/seeds"
cd "$build"
if grep -q "CMAKE_CXX_COMPILER_ID \"Clang\"" CMakeFiles/*/CMakeCXXCompiler.cmake; then
    mkdir -p corpus
    ./plan_fuzz -runs="$runs" -max_len=65536 -len_control=0 -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 corpus seeds 2>libfuzzer.log ||
        { tail -40 libfuzzer.log >&2; exit 1; }
else
    ./plan_fuzz --runs "$runs" --seed "${SEED:-0}" seeds/*.plan
fi
