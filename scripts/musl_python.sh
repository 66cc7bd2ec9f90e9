#!/usr/bin/env bash
# Builds Python for musl with zig, which no registry has, to try wheels with; it is run where it was built, by musl's loader:
#   scripts/musl_python.sh PROCESSOR SOURCES BUILD_PYTHON FOLDER     such as x86_64 Python-3.13.5 python3.13 build/python-musl
# SOURCES are CPython's. BUILD_PYTHON is of the same version, and runs here.
set -euo pipefail
processor=$1 sources=$(realpath "$2") build_python=$(realpath "$3") folder=$4
[ ! -e "$folder/built" ] || exit 0
"$(dirname "$0")/zig_tools.sh" "$processor-linux-musl" "$folder"
cd "$folder"
# What configure would try by a program of the other system; and no modules that ask for libraries beside the C library.
ac_cv_file__dev_ptmx=yes ac_cv_file__dev_ptc=no ac_cv_buggy_getaddrinfo=no PKG_CONFIG=false CONFIG_SITE=/dev/null \
    CC=$PWD/zig-cc CXX=$PWD/zig-c++ AR=$PWD/zig-ar RANLIB=$PWD/zig-ranlib LDFLAGS=-dynamic \
    OPT="-O1 -DNDEBUG -Wno-date-time -fPIC" LINKFORSHARED="-Xlinker -export-dynamic -pie" \
    "$sources/configure" -q --host="$processor-linux-musl" --build="$(uname -m)-linux-gnu" --with-build-python="$build_python" \
    --without-ensurepip --disable-test-modules --with-pymalloc >configure.log 2>&1 || { tail -20 configure.log >&2; exit 1; }
make -j "$(nproc)" >make.log 2>&1 || { tail -20 make.log >&2; exit 1; }
touch built
