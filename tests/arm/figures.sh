#!/usr/bin/env bash
# ARM figures for docs/arm-tests.md: instructions of every stage on aarch64 and armv7, and of the JPEG decoders:
# tests/arm/figures.sh [CPU...]. Minutes. Needs what `make cross` and tests/arm/guest.sh make, and cmake.
#
# For each board's core by itself, since XNNPACK has kernels of its own for them: a Cortex-A76 (Raspberry Pi 5) multiplies
# four pairs of int8 in one instruction, which an A53 (Pi 3) and an A72 (Pi 4) cannot.
set -euo pipefail
cd "$(dirname "$0")/../.."
[[ $# -gt 0 ]] || set -- cortex-a53 cortex-a72 cortex-a76
# shellcheck source=cross/rust.sh
. cross/rust.sh
install_debian cmake
target=aarch64-unknown-linux-gnu
cargo build --release --manifest-path tests/jpeg/Cargo.toml --target $target --target-dir target/arm/jpeg
install -m 755 target/arm/jpeg/$target/release/jpeg-bench target/arm/jpeg-bench
for cpu in "$@"; do
    say "an emulated $cpu"
    CPU=$cpu tests/arm/boot.sh clock bench bench_armv7 jpeg_decoders
done
