#!/usr/bin/env bash
# A real Prometheus reads a real daemon: rules and their tests pass promtool, and every query of the Grafana board has an
# answer, but for those of a board's sensors that this machine lacks. Usage: tests/metrics.sh AFFECTD
set -euo pipefail
cd "$(dirname "$0")/.."
affectd=$(realpath "$1")
prometheus=.tools/prometheus/usr/bin/prometheus promtool=.tools/prometheus/usr/bin/promtool

$promtool check config deploy/prometheus/prometheus.yml
(cd deploy/prometheus && "$OLDPWD/$promtool" test rules affectd.test.yml)

work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port) own=$(free_port) broker=$(free_port)
/usr/sbin/mosquitto -p "$broker" >"$work/mosquitto.log" 2>&1 & pids+=($!)
# A command that stands for a camera: starts are counted, as on a device.
cat >"$work/affectd.toml" <<EOF
config_version = 1
[deployment]
site = "test"
device = "metrics"
place = "other"
purpose = "A test of the metrics"
controller = "whoever runs this test"
room = "metrics-$$"
[camera]
command = ["sh", "-c", "while :; do cat $PWD/tests/data/clip.mjpeg; done"]
fps = 10.0
[privacy]
allow_swap = true
[window]
length = "5s"
[mqtt]
port = $broker
[status]
metrics = true
listen = "127.0.0.1:$port"
EOF
mkdir "$work/state" "$work/data"
STATE_DIRECTORY=$work/state "$affectd" run -c "$work/affectd.toml" >"$work/affectd.log" 2>&1 & pids+=($!)
sed "s/127.0.0.1:9464/127.0.0.1:$port/; s/scrape_interval: 15s/scrape_interval: 1s/; s#affectd.rules.yml#$PWD/deploy/prometheus/affectd.rules.yml#" \
    deploy/prometheus/prometheus.yml >"$work/prometheus.yml"
$prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$own" \
    >"$work/prometheus.log" 2>&1 & pids+=($!)
for _ in $(seq 90); do
    grep -q "is streaming" "$work/affectd.log" && break
    sleep 1
done
sleep 20
if ! python3 - "$own" "127.0.0.1:$port" <<'EOF'
import json, sys, urllib.parse, urllib.request

own, instance = sys.argv[1:]

def ask(path, **values):
    with urllib.request.urlopen(f"http://127.0.0.1:{own}{path}?{urllib.parse.urlencode(values)}") as answer:
        return json.load(answer)["data"]

targets = ask("/api/v1/targets")["activeTargets"]
assert [t["health"] for t in targets] == ["up"], targets
board = json.load(open("deploy/grafana/affectd.json"))
# Not every machine has them.
sensors = ("affectd_soc_temperature_celsius", "affectd_throttled", "affectd_under_voltage")
# Nobody who stands still on a recording lives, so that a camera's windows have no numbers there.
numbers = ("affectd_frame_duration_seconds",)
asked = empty = 0
for panel in board["panels"]:
    for target in panel["targets"]:
        query = target["expr"].replace("$instance", instance).replace("$__rate_interval", "20s")
        result = ask("/api/v1/query", query=query)["result"]
        asked += 1
        if not result:
            empty += 1
            assert any(name in query for name in sensors), f"no answer: {query}"
        for series in result:
            value = series["value"][1]
            assert value != "NaN" or any(name in query for name in numbers), f"{query}: {value}"
names = ask("/api/v1/label/__name__/values")
documented = open("docs/metrics.md").read()
undocumented = [n for n in names if n.startswith("affectd_") and n.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") not in documented]
assert not undocumented, f"not in docs/metrics.md: {undocumented}"
rules = ask("/api/v1/rules")["groups"][0]["rules"]
assert len(rules) >= 10 and all(rule["health"] == "ok" for rule in rules), rules
assert ask("/api/v1/query", query="affectd_starts_total")["result"][0]["value"][1] == "1"
print(f"metrics: {asked} queries of the board asked, {empty} of them about sensors that are not here; {len(rules)} rules are evaluated")
EOF
then
    tail -n 20 "$work/affectd.log"; tail -n 20 "$work/prometheus.log"
    exit 1
fi
