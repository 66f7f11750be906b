#!/usr/bin/env bash
# Sets up Rust and C for the ARM targets and says so; sourced by whoever compiles for them. After it, these are set:
# RUSTC, and for each target the linker and the C compiler that cargo and build scripts use.
#
# A rustc that has the targets' standard library (rustup target add ...) is taken as it is. Without one, Debian's
# `rustc-web` is unpacked into target/arm/rust, beside the standard libraries that Debian built for arm64 and armhf.
# It is not installed, because it would replace the machine's own Rust.

say() { echo "cross: $*"; }

as_root() {
    if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

# Installs what of the given Debian packages is missing.
install_debian() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed' || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

has_targets() {
    local target folder
    for target in aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf; do
        folder=$("$1" --print target-libdir --target "$target" 2>/dev/null) && [[ -d $folder ]] || return 1
    done
}

version_of() { APT_CONFIG=$PWD/target/arm/apt/$1/apt.conf apt-cache policy libstd-rust-web-dev | awk '/Candidate:/ { print $2 }'; }

# Debian's index for armhf does not always keep pace with its packages. Then the file that belongs to rustc-web of this
# version is taken straight from the mirror and checked by its hash.
armhf_std() {
    local version=1.96.0+dfsg1-1~deb12u2 hash=b9f9dd1d03a903680f918cb2bba00a2a3d76558545d5e6a8061072ab461bb989
    local mirror file
    cross/debian.sh armhf target/arm/root-armhf libc6 libgcc-s1 libstdc++6
    if [[ $(version_of armhf) == "$(version_of amd64)" ]]; then
        cross/debian.sh --alone armhf "$1" libstd-rust-web-dev
        return
    fi
    [[ $(version_of amd64) == "$version" ]] || {
        say "the index for armhf is out of step with rustc-web $(version_of amd64): try again on another day." >&2
        return 1
    }
    say "Debian's index for armhf is out of step: fetching the library of $version by its hash"
    mirror=$(awk '/security/ { print $3 }' target/arm/apt/amd64/sources.list)
    file=target/arm/libstd-armhf.deb
    curl -fsS -o "$file" "${mirror%/}/pool/updates/main/r/rustc-web/libstd-rust-web-dev_${version/+/%2b}_armhf.deb"
    echo "$hash  $file" | sha256sum --check --quiet
    dpkg-deb --fsys-tarfile "$file" | tar -x -C "$1" ./usr/lib/rustlib
}

debian_rust() {
    local root=$PWD/target/arm/rust library llvm
    local std=$root/usr/lib/rustlib
    cross/debian.sh --alone amd64 "$root" rustc-web libstd-rust-web-dev
    [[ -d $std/aarch64-unknown-linux-gnu ]] || cross/debian.sh --alone arm64 "$root" libstd-rust-web-dev
    [[ -d $std/armv7-unknown-linux-gnueabihf ]] || armhf_std "$root"
    # The compiler's own shared library, whose package is named after its version, and LLVM.
    if [[ ! -x target/arm/rustc ]]; then
        depends() { APT_CONFIG=$PWD/target/arm/apt/amd64/apt.conf apt-cache depends "$1" | awk '/Depends:/ { print $2 }'; }
        library=$(depends libstd-rust-web-dev | grep '^libstd-rust-web-[0-9]' | sed -n 1p)
        llvm=$(depends "$library" | grep '^libllvm' | sed -n 1p)
        cross/debian.sh --alone amd64 "$root" "$library"
        install_debian "$llvm"
        cat >target/arm/rustc <<SH
#!/bin/sh
LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu exec $root/usr/bin/rustc --sysroot $root/usr "\$@"
SH
        chmod +x target/arm/rustc
    fi
    export RUSTC=$PWD/target/arm/rustc
}

install_debian gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross libclang-dev binutils file curl
export RUSTC=${RUSTC:-rustc}
has_targets "$RUSTC" || debian_rust
say "compiling with $("$RUSTC" --version) ($RUSTC)"
for pair in aarch64_unknown_linux_gnu=aarch64-linux-gnu armv7_unknown_linux_gnueabihf=arm-linux-gnueabihf; do
    target=${pair%=*} gnu=${pair#*=}
    export "CARGO_TARGET_${target^^}_LINKER=$gnu-gcc" "CC_$target=$gnu-gcc" "AR_$target=$gnu-ar"
    # Headers of the kernel and of C for bindings that are generated while compiling.
    export "BINDGEN_EXTRA_CLANG_ARGS_$target=-I/usr/$gnu/include"
done
