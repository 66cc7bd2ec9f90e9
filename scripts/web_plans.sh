#!/usr/bin/env bash
# Plans for the page web/demo, those that are missing: scripts/web_plans.sh [FOLDER OF PHOTOS]
# With photos also in int8. A network whose weights cannot be fetched is left out, with a line that says so.
set -uo pipefail
cd "$(dirname "$0")/.."
plans=build/web-plans
mkdir -p "$plans"

plan() {
    [ -e "$plans/$1.plan" ] && return
    local name=$1
    shift
    .venv/bin/shufflekit compile "$@" --out "$plans/$name.plan" >/dev/null 2>"$plans/log" || echo "web_plans.sh: no $name: $(tail -1 "$plans/log")" >&2
}

for network in nanodet_m_shufflenet_v2_x1_0 shufflenet_v2_x0_5; do
    plan "${network}_float32" "$network" --input uint8
    [ $# -eq 0 ] || plan "${network}_int8" "$network" --input uint8 --int8 --calib "$1"
done
