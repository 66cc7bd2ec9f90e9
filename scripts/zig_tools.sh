#!/usr/bin/env bash
# Writes zig-c++, zig-cc, zig-ar, zig-ranlib and zig-rc for a target into a folder, since CMake wants each to be one word:
#   scripts/zig_tools.sh TARGET FOLDER     such as aarch64-linux-musl
set -euo pipefail
python -c 'import ziglang' 2>/dev/null || { echo "zig_tools.sh: needs ziglang: pip install -c constraints.txt ziglang" >&2; exit 1; }
mkdir -p "$2"
for word in c++ cc ar ranlib rc; do
    target=""
    case $word in c*) target="-target $1" ;; esac
    printf '#!/bin/sh\nexec "%s" -m ziglang %s %s "$@"\n' "$(command -v python)" "$word" "$target" >"$2/zig-$word"
    chmod +x "$2/zig-$word"
done
