#!/usr/bin/env bash
# The trade-off of size, accuracy and time, int8, on the test split of FER+: the finished network, tuned for one epoch to every input size;
# and a network of half the width, trained from random weights, as there is no published base of that width.
#
#   crates/train/tradeoff.sh AFFECT-TRAIN WEIGHTS DATA OUT [OPTION of the training, as --device vulkan]...
#
# Prints a Markdown table. OUT keeps checkpoints and models: a second call goes on.
set -euo pipefail
train=${1:?the program affect-train} weights=${2:?the weight file to start from} data=${3:?folder with the data sets} out=${4:?folder for results}
shift 4
recipes=$(cd "$(dirname "$0")" && pwd)/recipes
mkdir -p "$out"

train() { "$train" emotion "$1.toml" --data "$data" --out "$@" >&2; }
for size in 64 96 112 128 160 224; do
  sed "s/^size = .*/size = $size/" "$recipes/tradeoff.toml" >"$out/$size.toml"
  train "$out/$size" --weights "$weights" "$@"
done
cp "$recipes/width-half.toml" "$out/half.toml"
train "$out/half" "$@"
# All measured in one go, so that their times can be compared.
for size in 64 96 112 128 160 224 half; do
  run=$out/$size
  [[ -f $run/int8/model.toml ]] || "$train" export "$run/best.safetensors" --out "$run/int8" --title "MobileNet-v1, $size" \
    --source "crates/train/tradeoff.sh" --calibrate "utkface:$data/utkface:train" >&2
  "$train" evaluate --model "$out/$size/int8" --data "$data/ferplus8" --format ferplus --split test --json >"$out/$size.json"
  "$train" evaluate --model "$out/$size/best.safetensors" --data "$data/ferplus8" --format ferplus --split test --json >"$out/$size-float.json"
done
python3 - "$out" <<'TABLE'
import json, sys
sizes = {64: "1.0", 96: "1.0", 112: "1.0", 128: "1.0", 160: "1.0", 224: "1.0", "half": "0.5"}
read = lambda name: json.load(open(f"{sys.argv[1]}/{name}.json"))
share = lambda report, what: 100 * report["expression"][what]["value"]
base = read(96)["invoke_ms"]
print("| input | width | FER+ 8 classes, float | int8 | FER2013 labels, int8 | invoke ÷ that of 96 px |\n|---|---|---|---|---|---|")
for size, width in sizes.items():
    int8, real = read(size), read(f"{size}-float")
    print(f"| {96 if size == 'half' else size} px | {width} | {share(real, 'accuracy'):.2f} % | {share(int8, 'accuracy'):.2f} % "
          f"| {share(int8, 'seven_second_head'):.2f} % | {int8['invoke_ms'] / base:.2f} |")
TABLE
