#!/usr/bin/env bash
# Runs every target of src/fuzz.rs under libFuzzer, each for its share of SECONDS, and says how many runs there were.
# What ends a target stays in target/fuzz/found/. Usage: tests/fuzz.sh SECONDS [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}; shift || true
# Coverage by LLVM's sanitizer pass, which the stable compiler has, of this workspace's own crates. The program is safe Rust, so
# no address sanitizer. Debug assertions and overflow checks are on, as in every debug build.
export AFFECTD_COVERAGE="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTC_WORKSPACE_WRAPPER=$PWD/tests/fuzz-rustc.sh cargo build --package affectd --bin affectd --features fuzz
program=$PWD/target/fuzz/affectd
mkdir -p target/fuzz
mv target/debug/affectd "$program"

targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(ls tests/fuzz)
share=$((seconds / ${#targets[@]}))
[[ $share -gt 0 ]] || share=1
failed=0
for target in "${targets[@]}"; do
    corpus=target/fuzz/corpus/$target found=target/fuzz/found/$target
    mkdir -p "$corpus" "$found"
    seeds=(tests/fuzz/"$target")
    length=4096
    if [[ $target == model ]]; then
        mkdir -p target/fuzz/models
        cp models/yunet-320/*.tflite models/fer-mini-xception/*.tflite target/fuzz/models/
        seeds+=(target/fuzz/models)
        length=140000
    fi
    log=target/fuzz/$target.log
    if AFFECTD_FUZZ_TARGET=$target "$program" "$corpus" "${seeds[@]}" -max_total_time="$share" -max_len=$length \
        -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$found/" -print_final_stats=1 >"$log" 2>&1; then
        result="no crash"
    else
        result="FAILED, see $log"
        failed=1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    slowest=$(sed -n 's/^stat::slowest_unit_time_sec: *//p' "$log" | tail -1)
    edges=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
    printf '%-14s %4d s  %10s runs  %-11s slowest %s s  %s\n' "$target" "$share" "${runs:-0}" "${edges:-cov: 0}" "${slowest:-?}" "$result"
done
exit $failed
