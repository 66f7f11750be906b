#!/usr/bin/env bash
# The unit tests of core, tflite and vision as ARM code, and every model's golden vectors on ARM beside this machine:
# tests/arm/emulated.sh [aarch64] [armv7l]. QEMU emulates the programs, not a whole machine.
#
# int8 with XNNPACK has to be equal bit for bit. Where XNNPACK is not in the library (armv7), its own kernels run: they
# round halves below zero upwards on x86-64 and downwards on armv7, so a network whose convolutions let negative values
# through (YuNet) gives other bits. Floats are summed in another order. For both the recorded tolerance decides, which
# `affectd model` checks. The input, which affectd itself prepares, is equal everywhere.
#
# Needs what cross/build.sh makes. Libraries come from Debian root folders in target/arm, never from this machine:
# two C libraries in one process hang when they start a thread.
set -euo pipefail
cd "$(dirname "$0")/../.."
[[ $# -gt 0 ]] || set -- aarch64 armv7l
# This machine's program first, with this machine's compiler.
cargo build --package affectd
here_affectd=${CARGO_TARGET_DIR:-target}/debug/affectd
# shellcheck source=cross/rust.sh
. cross/rust.sh
cross/qemu.sh qemu-aarch64 --version | sed -n 1p
binfmt=/proc/sys/fs/binfmt_misc
failed=0

# Some tests start themselves again as another process. That works where the kernel knows who runs ARM programs: it is
# told so for as long as this script runs.
# shellcheck disable=SC2317 # called by the trap
unregister() { for name in "$binfmt"/affectd-*; do [[ ! -e "$name" ]] || echo -1 >"$name"; done; }
register() {
    local head="\\x7fELF\\x0$2\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x$3\\x00"
    local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    mount -t binfmt_misc none $binfmt 2>/dev/null || true
    { printf '%s' ":affectd-$1:M::$head:$mask:$PWD/target/arm/qemu/usr/bin/qemu-$1:F" >$binfmt/register; } 2>/dev/null
}
trap unregister EXIT

bits() { sed -n 's/^bits *//p'; }
inputs() { grep -oE '^[^ ]+ input=[0-9a-f]+' <<<"$1"; }
# How many of the outputs in $1 and $2 are the same: "N of M".
equal() {
    paste -d ' ' <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") | awk '/=/ && !/^input/ { all++; n += $1 == $2 } END { print n + 0 " of " all }'
}

for arch in "$@"; do
    case $arch in
        aarch64) target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu debian=arm64 name=aarch64 class=2 machine=b7 delegate=xnnpack ;;
        armv7l) target=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf debian=armhf name=arm class=1 machine=28 delegate=none ;;
    esac
    root=$PWD/target/arm/root-$debian
    cross/debian.sh "$debian" "$root" libc6 libgcc-s1 libstdc++6
    emulator="timeout -k 10 3000 $PWD/target/arm/qemu/usr/bin/qemu-$name"
    skip=()
    register "$name" "$class" "$machine" || {
        skip=(--skip damaged_models_never)
        say "the kernel takes no binfmt_misc here: the test with damaged models, which needs it, is left out for $arch"
    }
    (
        upper=${target//-/_}
        export "CARGO_TARGET_${upper^^}_RUNNER=$emulator" QEMU_LD_PREFIX="$root"
        export AFFECTD_TFLITE=$PWD/target/arm/$arch/libtensorflowlite_c.so AFFECTD_MUTATIONS=${AFFECTD_MUTATIONS:-300}
        # One test compiles a delegate in C.
        export AFFECTD_CC=$gnu-gcc
        cargo test --target "$target" --target-dir target/arm/build \
            --package affect-clock --package affect-core --package affect-tflite --package affect-vision --lib --tests -- "${skip[@]}"
    ) 2>&1 | tee "target/arm/tests-$arch.log" | grep -E '^(test result|test .*FAILED|error|---- )|panicked' || true
    sum() { grep -E '^test result:' "target/arm/tests-$arch.log" | grep -oE "[0-9]+ $1" | awk '{ n += $1 } END { print n + 0 }'; }
    if grep -q '^test result: FAILED\|^error' "target/arm/tests-$arch.log" || [[ $(sum passed) -eq 0 ]]; then
        echo "FAIL  tests on $arch: see target/arm/tests-$arch.log" && failed=1
    else
        echo "PASS  tests on $arch: $(sum passed) passed, $(sum ignored) ignored, $(sum filtered) left out"
    fi

    for model in models/*/model.toml; do
        folder=$(dirname "$model")
        element=$(sed -n '/^\[input\]/,$ s/^type *= *"\(.*\)"/\1/p' "$model" | sed -n 1p)
        here=$(AFFECTD_SHARE=$PWD "$here_affectd" model "$folder" --delegate "$delegate" --bits | bits) || here=
        there=$(AFFECTD_TFLITE=$PWD/target/arm/$arch/libtensorflowlite_c.so QEMU_LD_PREFIX=$root \
            $emulator "target/arm/$arch/affectd" model "$folder" --delegate "$delegate" --bits | bits) || there=
        what="$(basename "$folder") ($element) with $delegate on $arch and $(uname -m)"
        if [[ -z $here || -z $there || $(inputs "$here") != "$(inputs "$there")" ]]; then
            echo "FAIL  $what: ${there:-it does not give the recorded outputs on $arch}, here ${here:-neither}"
            failed=1
        elif [[ $here == "$there" ]]; then
            echo "PASS  $what: $(echo "$here" | wc -l) golden vectors, inputs and outputs equal bit for bit"
        elif [[ $element == int8 && $delegate == xnnpack ]]; then
            echo "FAIL  $what: $(equal "$here" "$there") outputs are equal: $there, here $here"
            failed=1
        else
            echo "PASS  $what: $(echo "$here" | wc -l) golden vectors within the recorded tolerance, inputs equal, $(equal "$here" "$there") outputs bit for bit"
        fi
    done
done
exit $failed
