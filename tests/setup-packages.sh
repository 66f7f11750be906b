#!/usr/bin/env bash
# Installs what the tests need from Debian: a real MQTT broker, ffmpeg for videos, and Python's venv.
# With `build`: only what building needs, which is libclang. With `arm`: only what the emulated machines of
# `make test-arm` are made with. With `page`: a browser. With `prometheus`: Prometheus, unpacked into .tools/.
set -euo pipefail

missing=()
if [[ "${1:-}" == build ]]; then
    [[ -n "${LIBCLANG_PATH:-}" ]] || compgen -G '/usr/lib/llvm-*/lib/libclang.so' >/dev/null || missing+=(libclang-dev)
elif [[ "${1:-}" == page ]]; then
    command -v chromium >/dev/null || missing+=(chromium)
elif [[ "${1:-}" == prometheus ]]; then
    mkdir -p .tools/download
    (cd .tools/download && apt-get download -qq prometheus)
    dpkg -x .tools/download/prometheus_*.deb .tools/prometheus
    rm -r .tools/download
    exit 0
elif [[ "${1:-}" == arm ]]; then
    PATH=$PATH:/usr/sbin
    command -v modprobe >/dev/null || missing+=(kmod)
    # The guest's kernel modules are built with it.
    command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
    command -v cpio >/dev/null || missing+=(cpio)
    command -v mke2fs >/dev/null || missing+=(e2fsprogs)
    command -v cmake >/dev/null || missing+=(cmake)
    command -v ffmpeg >/dev/null || missing+=(ffmpeg)
    command -v mosquitto_sub >/dev/null || missing+=(mosquitto-clients)
    command -v mosquitto >/dev/null || missing+=(mosquitto)
else
    command -v mosquitto >/dev/null || [[ -x /usr/sbin/mosquitto ]] || missing+=(mosquitto)
    command -v mosquitto_sub >/dev/null || missing+=(mosquitto-clients)
    command -v ffmpeg >/dev/null || missing+=(ffmpeg)
    command -v openssl >/dev/null || missing+=(openssl)
    command -v curl >/dev/null || missing+=(curl)
    "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi
if [[ ${#missing[@]} -eq 0 ]]; then
    echo "setup: all Debian packages are there"
    exit 0
fi
echo "setup: installing ${missing[*]}"
sudo=()
if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || { echo "setup: run as root, or install these yourself: ${missing[*]}" >&2; exit 1; }
    sudo=(sudo)
fi
"${sudo[@]}" apt-get update -qq
# The broker is started by the tests on ports of their own, not as a service.
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
