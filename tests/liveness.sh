#!/usr/bin/env bash
# How well living faces are told from pictures of them, on a real video of one face:
#
#   tests/liveness.sh VIDEO
#
# The video hangs six times on a wall, each a second apart; then its first picture hangs there six times. Both with noise as a
# camera has it in the dark. Whoever lives is a group of six, and nobody is one of none.
set -euo pipefail
video=${1:?a video of one face, 19 seconds or longer}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/affectd.toml" <<'TOML'
config_version = 1
[deployment]
site = "liveness"
place = "other"
purpose = "Measures how well living faces are told from pictures"
controller = "the developers"
[window]
length = "5s"
TOML
failed=0
for noise in 0 10 25; do
    for kind in living frozen; do
        way="fps=5"
        [[ $kind == frozen ]] && way="fps=5,trim=end_frame=1,loop=loop=89:size=1:start=0,setpts=N/5/TB"
        inputs=() graph="" names=""
        for i in 0 1 2 3 4 5; do
            inputs+=(-ss "$i" -i "$video")
            graph+="[$i:v]$way,scale=426:240,trim=duration=13,setpts=N/5/TB[v$i];"
            names+="[v$i]"
        done
        graph+="${names}xstack=inputs=6:layout=0_0|w0_0|0_h0|w0_h0|0_h0+h1|w0_h0+h1,noise=alls=$noise:allf=t[o]"
        ffmpeg -nostdin -y -loglevel error "${inputs[@]}" -filter_complex "$graph" -map "[o]" -r 5 -q:v 3 -f mjpeg "$work/wall.mjpeg"
        "${AFFECTD:-target/release/affectd}" replay "$work/wall.mjpeg" --fps 5 --as-camera -c "$work/affectd.toml" > "$work/windows" 2> /dev/null
        told=$(head -2 "$work/windows" | grep -c '"people"' || true)
        echo "$kind, noise of $noise: $told of 2 windows with numbers"
        [[ $kind == living && $told == 2 || $kind == frozen && $told == 0 ]] || failed=1
    done
done
exit $failed
