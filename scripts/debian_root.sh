#!/usr/bin/env bash
# Unpacks Debian packages, with all that they depend on, into a folder; nothing of them is run:
#   scripts/debian_root.sh SUITE ARCHITECTURE FOLDER PACKAGE...     such as trixie arm64 build/root python3
# Of src:PACKAGE it unpacks the sources as they came to Debian.
# It takes the machine's own mirror. A folder that has the same packages already is left as it is.
set -euo pipefail
suite=$1 architecture=$2 root=$3
shift 3
[ "$(cat "$root/packages" 2>/dev/null)" != "$suite $architecture $*" ] || exit 0

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Component: main' 'Created-By: Packages' 'Label: Debian' | head -1)
[ -n "$mirror" ] || { echo "debian_root.sh: needs apt-get with a mirror of Debian" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"  # apt's own user looks in
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/none"
touch "$work/status"
for kind in deb deb-src; do
    echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >>"$work/sources.list"
done
apt() {
    apt-get -qq -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
        -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/none" \
        -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" "$@"
}
apt update
binary=()
for package; do
    case $package in
    src:*) (cd "$work" && apt source --download-only "${package#src:}" 2>"$work/log") || { cat "$work/log" >&2; exit 1; } ;;
    *) binary+=("$package") ;;
    esac
done
apt install --download-only --yes --no-install-recommends "${binary[@]}" >"$work/log" || { cat "$work/log" >&2; exit 1; }
rm -rf "$root"
mkdir -p "$root"
for package in "$work"/cache/archives/*.deb; do dpkg-deb --extract "$package" "$root"; done
for archive in "$work"/*.orig.tar.*[!c]; do [ ! -e "$archive" ] || tar -xf "$archive" -C "$root"; done  # no signature, .asc
echo "$suite $architecture $*" >"$root/packages"
