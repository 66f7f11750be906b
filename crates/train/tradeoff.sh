#!/usr/bin/env bash
# The trade-off of input size, accuracy and time: the finished network, tuned for one epoch to every size, int8, on the test split of FER+.
#
#   crates/train/tradeoff.sh AFFECT-TRAIN WEIGHTS DATA OUT [OPTION of the training, as --device vulkan]...
#
# Prints a Markdown table. OUT keeps checkpoints and models: a second call goes on.
set -euo pipefail
train=${1:?the program affect-train} weights=${2:?the weight file to start from} data=${3:?folder with the data sets} out=${4:?folder for results}
shift 4
recipe=$(cd "$(dirname "$0")" && pwd)/recipes/tradeoff.toml
mkdir -p "$out"

for size in 64 96 112 128 160 224; do
  run=$out/$size
  sed "s/^size = .*/size = $size/" "$recipe" >"$run.toml"
  "$train" emotion "$run.toml" --data "$data" --weights "$weights" --out "$run" "$@" >&2
  [[ -f $run/int8/model.toml ]] || "$train" export "$run/best.safetensors" --out "$run/int8" --title "MobileNet-v1 1.0, $size px" \
    --source "crates/train/tradeoff.sh" --calibrate "ferplus:$data/ferplus8:train" >&2
done
# All measured in one go, so that their times can be compared.
for size in 64 96 112 128 160 224; do
  "$train" evaluate --model "$out/$size/int8" --data "$data/ferplus8" --format ferplus --split test --json >"$out/$size.json"
  "$train" evaluate --model "$out/$size/best.safetensors" --data "$data/ferplus8" --format ferplus --split test --json >"$out/$size-float.json"
done
python3 - "$out" <<'TABLE'
import json, sys
sizes = [64, 96, 112, 128, 160, 224]
read = lambda name: json.load(open(f"{sys.argv[1]}/{name}.json"))
share = lambda report, what: 100 * report["expression"][what]["value"]
base = read(96)["invoke_ms"]
print("| input | FER+ 8 classes, float | int8 | FER2013 labels, int8 | invoke ÷ that of 96 px |\n|---|---|---|---|---|")
for size in sizes:
    int8, real = read(size), read(f"{size}-float")
    print(f"| {size} px | {share(real, 'accuracy'):.2f} % | {share(int8, 'accuracy'):.2f} % "
          f"| {share(int8, 'seven_second_head'):.2f} % | {int8['invoke_ms'] / base:.2f} |")
TABLE
