#!/usr/bin/env bash
# A real Home Assistant in a folder of its own (default target/homeassistant): Debian "forky" for its Python 3.14, Home Assistant
# from PyPI beside it, and Chromium to look at it. Needs root and about 3 GB; the second time it does nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lab=${1:-$here/../../target/homeassistant}
version=2026.11.0
mkdir -p "$lab"
lab=$(cd "$lab" && pwd)
[[ $(id -u) -eq 0 ]] || { echo "setup: run as root: a Debian is unpacked into $lab" >&2; exit 1; }

missing=()
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
command -v chromium >/dev/null || missing+=(chromium)
command -v npm >/dev/null || missing+=(npm)
command -v mosquitto >/dev/null || [[ -x /usr/sbin/mosquitto ]] || missing+=(mosquitto)
if [[ ${#missing[@]} -gt 0 ]]; then
    echo "setup: installing ${missing[*]}"
    apt-get -o DPkg::Lock::Timeout=600 update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
[[ -d $lab/node_modules/playwright-core ]] || npm install --silent --no-audit --no-fund --prefix "$lab" playwright-core@1 >/dev/null

root=$lab/root
if [[ ! -e $root/.complete ]]; then
    echo "setup: unpacking Debian forky into $root"
    rm -rf "$root"
    mirror=${MIRROR:-$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
        awk '/^URIs:/ && !m {m = $2} /^deb / && !m {m = ($2 ~ /^\[/) ? $4 : $2} END {print m}' || true)}
    # Its Release file may be past its date.
    mmdebstrap --mode=root --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
        --include=ca-certificates,python3,python3-venv,python3-dev,gcc,g++,make,pkg-config,libffi-dev,libssl-dev,libturbojpeg0 \
        forky "$root" "deb $mirror forky main" >"$lab/mmdebstrap.log" 2>&1 || { tail -5 "$lab/mmdebstrap.log" >&2; exit 1; }
    touch "$root/.complete"
fi
if [[ ! -e $root/srv/ha/.complete-$version ]]; then
    echo "setup: installing Home Assistant $version into $root/srv/ha"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    cp /etc/pip.conf "$root/etc/" 2>/dev/null || true
    chroot "$root" env -u PIP_FIND_LINKS HOME=/root PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        UV_CONCURRENT_BUILDS=1 sh -ec "
        python3 -m venv /srv/ha
        /srv/ha/bin/pip install -q uv
        /srv/ha/bin/uv pip install -q --python /srv/ha/bin/python homeassistant==$version paho-mqtt==2.1.0"
    touch "$root/srv/ha/.complete-$version"
fi
echo "setup: Home Assistant $version is in $lab"
