#!/usr/bin/env bash
# Our int8 files beside those of TensorFlow's converter: `make parity`. Minutes; the last result is in docs/measurements.md.
#
#   crates/train/parity/run.sh OUT [NETWORK...]      mobilenet-v1, efficientnet-b0, rexnet-150; all without names
set -euo pipefail
out=${1:?folder for what is made}
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
train=$root/target/train/affect-train
mkdir -p "$out"
if [[ ! -x $out/venv/bin/python ]]; then
  "${PYTHON:-python3}" -m venv "$out/venv"
  "$out/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
fi
"$root/crates/train/base.sh" "$train" "$out/base.safetensors"
"$out/venv/bin/python" "$here/int8.py" "$train" "$out/base.safetensors" "$out" "$@"
