#!/usr/bin/env bash
# Builds the source archive and the wheels of every system, checks each as far as it can be here, and lists what to upload:
#   scripts/wheels.sh [TARGET...]     all by default; `scripts/wheels.sh --help` names them
# It needs cmake, ninja and the tools of the extra `wheels` (in .venv after `scripts/set_up.sh all,dev,wheels`), the headers of Python 3.11
# and of a later one, and for checks what docs/install.md names. An interrupted build goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
exec python scripts/wheels.py "$@"
