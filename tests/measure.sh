#!/usr/bin/env bash
# Measures the demo as a whole process: resident memory at its highest, and the size of the stripped binary.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=target/release/affectd
"$binary" demo --once --port 0 >/dev/null 2>&1 &
process=$!
highest=0
while read -r _ kib _ < <(grep VmHWM "/proc/$process/status" 2>/dev/null); do
    highest=$kib
    sleep 1
done
wait "$process"
echo "demo: resident memory at its highest $highest KiB (limit 65536)"
echo "binary: $(stat -c %s "$binary") bytes stripped (limit $((12 * 1024 * 1024)))"
[[ $highest -gt 0 && $highest -le 65536 && $(stat -c %s "$binary") -le $((12 * 1024 * 1024)) ]]
