#!/usr/bin/env bash
# ARM figures for docs/arm-tests.md: instructions of every stage on aarch64 and armv7, and of the JPEG decoders. Minutes.
# Needs what `make cross` and tests/arm/guest.sh make, and cmake.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=cross/rust.sh
. cross/rust.sh
install_debian cmake
target=aarch64-unknown-linux-gnu
cargo build --release --manifest-path tests/jpeg/Cargo.toml --target $target --target-dir target/arm/jpeg
install -m 755 target/arm/jpeg/$target/release/jpeg-bench target/arm/jpeg-bench
tests/arm/boot.sh clock bench bench_armv7 jpeg_decoders
