#!/usr/bin/env bash
# The whole daemon on 10,000 frames as fast as it can, publishing to a real broker, and its resident memory on the way.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=target/release/affectd
work=$(mktemp -d)
port=${PORT:-18899}
: >"$work/windows"
printf 'listener %s 127.0.0.1\nallow_anonymous true\nuser root\n' "$port" >"$work/mosquitto.conf"
PATH=$PATH:/usr/sbin mosquitto -c "$work/mosquitto.conf" >/dev/null 2>&1 &
broker=$!
until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
cat >"$work/affectd.toml" <<TOML
config_version = 1
[deployment]
site = "soak"
device = "soak"
place = "other"
purpose = "Watches the memory of affectd"
controller = "the developers"
[camera]
source = "tests/data/clip.mjpeg"
fps = 4.0
pace = "fast"
repeat = true
[window]
length = "5s"
[mqtt]
port = $port
TOML
stdbuf -oL mosquitto_sub -h 127.0.0.1 -p "$port" -t 'affectd/+/+/+/window' >"$work/windows" 2>/dev/null &
subscriber=$!
trap 'kill $broker $subscriber ${daemon:-} 2>/dev/null; rm -rf "$work"' EXIT
"$binary" run -c "$work/affectd.toml" 2>"$work/log" &
daemon=$!
first=0 step=100
# A window is 20 frames, so 500 windows are 10,000 frames. The first hundred windows fill caches and buffers.
while kill -0 "$daemon" 2>/dev/null; do
    windows=$(wc -l <"$work/windows")
    if [[ $windows -ge $step ]]; then
        rss=$(awk '/VmRSS/ {print $2}' "/proc/$daemon/status")
        [[ $first -ne 0 ]] || first=$rss
        echo "$((step * 20)) frames, $step windows: $rss KiB resident, $((rss - first)) KiB more than at the first look"
        [[ $step -lt 500 ]] || { kill -TERM "$daemon"; break; }
        step=$((step + 100))
    fi
    sleep 0.1
done
wait "$daemon"
grep Stopped "$work/log"
[[ $((rss - first)) -le 2048 ]]
