#!/usr/bin/env bash
# The whole daemon as fast as it can, publishing to a real broker, and its memory and descriptors on the way.
#   tests/soak.sh                      10,000 frames, looked at every 2,000
#   tests/soak.sh --hours N [--fps F]  N hours by the frames' own clock, F frames per second (4), looked at every hour
set -euo pipefail
cd "$(dirname "$0")/.."
hours='' fps=4
while [[ $# -gt 0 ]]; do
    [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "soak: $1 needs a whole number from 1 on" >&2; exit 64; }
    case $1 in
        --hours) hours=$2 ;;
        --fps) fps=$2 ;;
        *) echo "soak: unknown option $1; there are --hours N and --fps F" >&2; exit 64 ;;
    esac
    shift 2
done
length=5
if [[ -n $hours ]]; then step=$((3600 / length)) looks=$hours; else step=100 looks=5; fi

binary=${AFFECTD_BINARY:-target/release/affectd}
work=$(mktemp -d)
trap 'kill ${broker:-} ${subscriber:-} ${daemon:-} 2>/dev/null; rm -rf "$work"' EXIT
port=${PORT:-18899}
: >"$work/windows"
printf 'listener %s 127.0.0.1\nallow_anonymous true\nuser root\n' "$port" >"$work/mosquitto.conf"
PATH=$PATH:/usr/sbin mosquitto -c "$work/mosquitto.conf" >/dev/null 2>&1 &
broker=$!
until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
# A port that is taken answers, too: then ours has ended, and the windows would go to somebody else's broker.
sleep 0.5
kill -0 "$broker" 2>/dev/null || { echo "soak: port $port is taken by another program; name a free one: PORT=18900" >&2; exit 69; }
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
fps = $fps.0
pace = "fast"
repeat = true
[window]
length = "${length}s"
[mqtt]
port = $port
TOML
# A line per window: how many people were seen at once, or a dash if there are no numbers.
mosquitto_sub -h 127.0.0.1 -p "$port" -t 'affectd/+/+/+/window' 2>/dev/null |
    sed -u -E 's/.*"peak":([0-9]+).*/\1/; t; s/.*/-/' >"$work/windows" &
subscriber=$!
"$binary" run -c "$work/affectd.toml" 2>"$work/log" &
daemon=$!
first='' look=1
while kill -0 "$daemon" 2>/dev/null; do
    windows=$(wc -l <"$work/windows")
    if [[ $windows -ge $((step * look)) ]]; then
        rss=$(awk '/VmRSS/ {print $2}' "/proc/$daemon/status")
        descriptors=$(find "/proc/$daemon/fd" -mindepth 1 | wc -l)
        # The first look comes when caches and buffers are full.
        first=${first:-$rss} first_descriptors=${first_descriptors:-$descriptors}
        echo "${hours:+hour $look, }$((windows * length * fps)) frames, $windows windows, $SECONDS s:" \
            "$rss KiB resident, $((rss - first)) KiB more than at the first look; $descriptors descriptors"
        [[ $look -lt $looks ]] || { kill -TERM "$daemon"; break; }
        look=$((look + 1))
    fi
    sleep 0.1
done
wait "$daemon"
grep Stopped "$work/log"
awk '$1 == "-" {quiet++; next} {faces += $1} END {
    printf "%d windows without numbers, %d with: %d people at once, summed\n", quiet, NR - quiet, faces}' "$work/windows"
[[ $((rss - first)) -le 2048 && $descriptors -le $first_descriptors ]]
