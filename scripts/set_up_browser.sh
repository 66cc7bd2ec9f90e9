#!/usr/bin/env bash
# Installs the browser that tests open the report and the site in, where root can; without it they skip.
set -uo pipefail

say() { echo "set-up: $*" >&2; }

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing chromium and chromium-driver"
    { apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver; } >/dev/null || say "that failed"
else
    say "no chromium and chromedriver, so no test of the report and the site in a browser: sudo apt-get install chromium chromium-driver"
fi
