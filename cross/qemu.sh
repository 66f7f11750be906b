#!/usr/bin/env bash
# Runs a program of QEMU 10: cross/qemu.sh qemu-aarch64|qemu-arm|qemu-system-aarch64 ARGUMENTS...
#
# Debian's packages are unpacked into target/arm/qemu with all their libraries and run from there, so that neither
# this machine's QEMU nor its libraries matter.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
root=$repo/target/arm/qemu
"$repo/cross/debian.sh" amd64 "$root" qemu-system-arm/bookworm-backports qemu-system-common/bookworm-backports \
    qemu-system-data/bookworm-backports qemu-user/bookworm-backports
program=$1
shift
case $program in
    qemu-system-*)
        libraries=$root/usr/lib/x86_64-linux-gnu
        export QEMU_MODULE_DIR=$libraries/qemu
        exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" "$root/usr/bin/$program" -L "$root/usr/share/qemu" "$@"
        ;;
    *) exec "$root/usr/bin/$program" "$@" ;; # linked statically
esac
