#!/usr/bin/env bash
# Trains, exports and measures the models of the product.
#
#   crates/train/models.sh DATA OUT
#
# DATA has the folders ferplus8, affect_masked, utkface, london and group_scenes. OUT keeps checkpoints: a second call goes on.
# The result replaces models/emotion-mobilenet-v1 and models/attributes-mobilenet-v1, except their cards.
set -euo pipefail
data=${1:?folder with the data sets} out=${2:?folder for checkpoints}
[[ -d $data/ferplus8 ]] || { echo "$data has no folder ferplus8: give DATA=<folder with the data sets>." >&2; exit 66; }
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
train=target/train/affect-train
recipes=crates/train/recipes
mkdir -p "$out"
started=$SECONDS

crates/train/base.sh "$train" "$out/base.safetensors"
$train emotion $recipes/emotion.toml --data "$data" --weights "$out/base.safetensors" --out "$out/emotion"
$train emotion $recipes/emotion-majority.toml --data "$data" --weights "$out/emotion/best.safetensors" --out "$out/emotion-majority"
$train export "$out/emotion-majority/average.safetensors" --out models/emotion-mobilenet-v1 \
  --title "MobileNet-v1 1.0, 96 px, eight expressions, int8" \
  --source "trained by crates/train/models.sh from the base in npm @vladmandic/human 3.3.6 (faceres, MIT)" \
  --calibrate "utkface:$data/utkface:train"
# The mood of a group, from scenes composed of training faces; never of the people it is measured on.
$train group --model models/emotion-mobilenet-v1 --train "folder:$data/affect_masked" --scenes 3000 --seed 1 \
  --test "group_scenes:$data/group_scenes" --install

$train attributes $recipes/attributes.toml --data "$data" --weights "$out/base.safetensors" --out "$out/attributes"
for kind in "attributes age,gender" "ethnicity ethnicity"; do
  read -r name heads <<<"$kind"
  folder=models/$name-mobilenet-v1
  [[ $name == ethnicity ]] && folder=$out/ethnicity-mobilenet-v1
  $train export "$out/attributes/best.safetensors" --out "$folder" --heads "$heads" \
    --title "MobileNet-v1 1.0, ${heads/,/ and }, int8" \
    --source "trained by crates/train/models.sh on the base in npm @vladmandic/human 3.3.6 (faceres, MIT)" \
    --calibrate "utkface:$data/utkface:train"
done

measure() { $train evaluate --record "$@"; }
measure --model models/emotion-mobilenet-v1 --data "$data/ferplus8" --format ferplus --split test
measure --model models/emotion-mobilenet-v1 --data "$data/london" --format folder --detector models/yunet-640
measure --model models/attributes-mobilenet-v1 --data "$data/utkface" --format utkface --split test
measure --model "$out/ethnicity-mobilenet-v1" --data "$data/utkface" --format utkface --split test
$train evaluate --model "$out/emotion-majority/average.safetensors" --data "$data/ferplus8" --format ferplus --split test
$train evaluate --model "$out/attributes/best.safetensors" --data "$data/utkface" --format utkface --split test
echo "make models: $(((SECONDS - started) / 60)) minutes in this call on $(nproc) cores, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-)"
echo "Now record the golden vectors: models/recipes/record_golden.py models/emotion-mobilenet-v1 models/attributes-mobilenet-v1"
