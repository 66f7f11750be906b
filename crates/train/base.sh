#!/usr/bin/env bash
# Fetches the published base from npm, pinned by hash, and imports it. Does nothing the second time.
#
#   crates/train/base.sh AFFECT-TRAIN BASE.safetensors
set -euo pipefail
train=${1:?the program affect-train} base=${2:?the weight file to write}
[[ -f $base ]] && exit
root=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent @vladmandic/human@3.3.6 >/dev/null)
tar xzf "$work"/vladmandic-human-3.3.6.tgz -C "$work" package/models/faceres.json package/models/faceres.bin
(cd "$work/package/models" && sha256sum --quiet --check "$root/base.sha256")
"$train" import "$work/package/models/faceres.json" --out "$base"
