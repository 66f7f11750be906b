#!/usr/bin/env bash
# Builds affectd for ARM boards on a Debian development machine: `make cross`, or cross/build.sh [aarch64] [armv7l].
#
# target/arm/ARCH gets `affectd` and the TensorFlow Lite library for it: put the two beside `models` on the board.
# Checked are what kind of file came out and that it runs with the C library of Debian 12 (glibc 2.36).
set -euo pipefail
cd "$(dirname "$0")/.."
readonly NEWEST_GLIBC=2.36

# shellcheck source=cross/rust.sh
. cross/rust.sh

check() {
    local file=$1 kind=$2 newest
    file -b "$file" | grep -q "$kind" || { say "$file is not $kind but $(file -b "$file")" >&2; return 1; }
    newest=$(readelf -V "$file" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
    newest=${newest#GLIBC_}
    say "$file: $(stat -c %s "$file") bytes, $(file -b "$file" | cut -d , -f 1-2), glibc $newest or newer"
    [[ $(printf '%s\n' "$newest" $NEWEST_GLIBC | sort -V | tail -n 1) == "$NEWEST_GLIBC" ]] || {
        say "$file needs glibc $newest, but Debian 12 has $NEWEST_GLIBC: build on Debian 12, or see cross/README.md." >&2
        return 1
    }
}

[[ $# -gt 0 ]] || set -- aarch64 armv7l
for arch in "$@"; do
    case $arch in
        aarch64) target=aarch64-unknown-linux-gnu kind='ELF 64-bit LSB.*ARM aarch64' ;;
        armv7l) target=armv7-unknown-linux-gnueabihf kind='ELF 32-bit LSB.*ARM, EABI5' ;;
        *) say "\`$arch\` is none of the architectures: aarch64, armv7l" >&2; exit 1 ;;
    esac
    cargo build --release --package affectd --target "$target" --target-dir target/arm/build
    mkdir -p "target/arm/$arch"
    install -m 755 "target/arm/build/$target/release/affectd" "target/arm/$arch/affectd"
    cross/fetch-tflite.sh "$arch" "target/arm/$arch"
    check "target/arm/$arch/affectd" "$kind"
    check "target/arm/$arch/libtensorflowlite_c.so" "$kind"
done
