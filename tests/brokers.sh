#!/usr/bin/env bash
# affectd against brokers other than mosquitto, over TLS: RabbitMQ (MQTT 5, and WebSocket) and NATS (MQTT 3.1.1, with a client
# certificate). Each gets the bundled clip; its broker is killed and started again; every window has to arrive, without a gap.
# The brokers run in a Debian 13 of their own in target/brokers, on loopback. Needs root: `make test-brokers`.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

work=$PWD/target/brokers root=$PWD/target/brokers/root
binary=${AFFECTD_BINARY:-target/debug/affectd}
first=${AFFECTD_TEST_PORT:-18960}
[[ $(id -u) -eq 0 ]] || { echo "brokers: run as root" >&2; exit 1; }
missing=()
for tool in mmdebstrap mosquitto_sub openssl; do command -v "$tool" >/dev/null || missing+=("$tool"); done
[[ ${#missing[@]} -eq 0 ]] || { echo "brokers: missing ${missing[*]}: apt-get install mmdebstrap mosquitto-clients openssl" >&2; exit 1; }
mkdir -p "$work"

# Kept for the next time.
if [[ ! -x $root/usr/sbin/nats-server ]]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | sort -u | sed -n 1p)
    echo "brokers: installing RabbitMQ and NATS into target/brokers (once) ..."
    rm -rf "$root"
    mmdebstrap --quiet --mode=root --variant=minbase --include=rabbitmq-server,nats-server,procps trixie "$root" \
        "deb ${mirror:?no mirror in /etc/apt} trixie main" >"$work/mmdebstrap.log" 2>&1 || { tail -5 "$work/mmdebstrap.log" >&2; exit 1; }
fi

# A CA, a certificate for the brokers, one for the device.
files=$root/srv/tls
rm -rf "$files"; mkdir -p "$files"
ec=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 "${ec[@]}" -days 30 -subj '/CN=Test CA' -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign -keyout "$files/ca.key" -out "$files/ca.pem" 2>/dev/null
for name in server client; do
    openssl req "${ec[@]}" -subj "/CN=$name" -keyout "$files/$name.key" -out "$files/$name.csr" 2>/dev/null
    openssl x509 -req -days 30 -in "$files/$name.csr" -CA "$files/ca.pem" -CAkey "$files/ca.key" -CAcreateserial -out "$files/$name.pem" 2>/dev/null \
        -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n')
done
chmod 644 "$files"/*

# By files, since scenarios run in subshells.
: >"$work/pids"
finish() {
    while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done <"$work/pids"
    rabbit_kill
    nats_kill 2>/dev/null || true
    # The name server of Erlang outlives its nodes.
    inside env ERL_EPMD_PORT=$((first + 4)) epmd -kill >/dev/null 2>&1 || true
    for mount in proc dev sys; do umount --lazy "$root/$mount" 2>/dev/null || true; done
}
rm -f "$work"/*.pid
trap finish EXIT
for mount in proc dev sys; do mountpoint -q "$root/$mount" || mount --bind "/$mount" "$root/$mount"; done
grep -q localhost "$root/etc/hosts" 2>/dev/null || echo '127.0.0.1 localhost' >"$root/etc/hosts"

inside() { chroot "$root" "$@"; }
within() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || return 1; sleep 0.2; done
}
is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# RabbitMQ: everything of it runs in one folder; its processes are found by that.
rabbit=$root/srv/rabbit
mkdir -p "$rabbit"
cat >"$rabbit/rabbitmq.conf" <<C
listeners.tcp.1 = 127.0.0.1:$((first + 1))
mqtt.listeners.tcp = none
mqtt.listeners.ssl.1 = 127.0.0.1:$((first + 2))
web_mqtt.ssl.ip = 127.0.0.1
web_mqtt.ssl.port = $((first + 3))
web_mqtt.ssl.cacertfile = /srv/tls/ca.pem
web_mqtt.ssl.certfile = /srv/tls/server.pem
web_mqtt.ssl.keyfile = /srv/tls/server.key
ssl_options.cacertfile = /srv/tls/ca.pem
ssl_options.certfile = /srv/tls/server.pem
ssl_options.keyfile = /srv/tls/server.key
mqtt.allow_anonymous = false
mqtt.exchange = amq.topic
C
echo '[rabbitmq_mqtt,rabbitmq_web_mqtt].' >"$rabbit/plugins"
rabbit_start() {
    # The first process of its own group, which is killed as a whole.
    setsid chroot "$root" env HOME=/srv/rabbit LC_ALL=C.UTF-8 ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$((first + 4)) \
        RABBITMQ_NODENAME=affectd@localhost RABBITMQ_DIST_PORT=$((first + 5)) RABBITMQ_CONFIG_FILE=/srv/rabbit/rabbitmq.conf \
        RABBITMQ_MNESIA_BASE=/srv/rabbit/data RABBITMQ_LOG_BASE=/srv/rabbit/log RABBITMQ_ENABLED_PLUGINS_FILE=/srv/rabbit/plugins \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}" /usr/lib/rabbitmq/bin/rabbitmq-server >"$work/rabbit.log" 2>&1 &
    echo $! >"$work/rabbit.pid"
    within 150 is_open $((first + 2)) && within 60 is_open $((first + 3))
}
rabbit_kill() { [[ ! -s $work/rabbit.pid ]] || kill -KILL -- "-$(<"$work/rabbit.pid")" 2>/dev/null || true; }
nats_start() {
    chroot "$root" /usr/sbin/nats-server -c /srv/nats.conf >>"$work/nats.log" 2>&1 &
    echo $! >"$work/nats.pid"
    within 60 is_open $((first + 7))
}
nats_kill() { [[ ! -s $work/nats.pid ]] || kill -KILL "$(<"$work/nats.pid")"; }
cat >"$root/srv/nats.conf" <<C
server_name: affectd
listen: 127.0.0.1:$((first + 6))
jetstream { store_dir: /srv/nats, max_memory_store: 16MB, max_file_store: 64MB }
accounts { A { jetstream: enabled, users: [ { user: camera, password: secret } ] } }
mqtt {
  listen: 127.0.0.1:$((first + 7))
  tls { ca_file: /srv/tls/ca.pem, cert_file: /srv/tls/server.pem, key_file: /srv/tls/server.key, verify: true }
}
C

failed=0
report() { printf '%-7s %s\n' "$@"; [[ $1 == ok ]] || failed=1; }
# affectd by $1 (a url) with MQTT $2; the broker is killed by $3 and started by $4. The rest are options for mosquitto_sub.
delivers() {
    local url=$1 protocol=$2 kill=$3 start=$4; shift 4
    local folder; folder=$(mktemp -d "$work/run.XXXX")
    local room; room=$(basename "$folder" | tr "[:upper:]." "[:lower:]-")
    printf secret >"$folder/password"; chmod 600 "$folder/password"
    local more=""
    [[ $protocol == 5 ]] || more=$(printf 'certificate = "%s"\nkey = "%s"' "$files/client.pem" "$files/client.key")
    cat >"$folder/affectd.toml" <<TOML
config_version = 1
[deployment]
site = "test"
room = "$room"
device = "unit"
place = "other"
purpose = "Tests with other brokers"
controller = "the developers"
[camera]
name = "door"
source = "$PWD/tests/data/clip.mjpeg"
fps = 4.0
repeat = true
[window]
length = "2s"
[mqtt]
url = "$url"
protocol = "$protocol"
username = "camera"
password_file = "$folder/password"
retry_max = "1s"
[mqtt.tls]
ca = "$files/ca.pem"
$more
TOML
    AFFECTD__PRIVACY__ALLOW_SWAP=true "$binary" check -c "$folder/affectd.toml" >"$folder/check.txt" 2>&1 || { cat "$folder/check.txt"; return 1; }
    grep -A4 ' broker: ' "$folder/check.txt" | sed -n '1p;/^        /p' | head -5
    # A session that outlives broker and connection, so that nothing is missed meanwhile.
    local session=()
    [[ $protocol != 5 ]] || session=(-x 3600)
    while :; do
        mosquitto_sub "$@" "${session[@]}" -i "reader-$room" -c -q 1 -V "${protocol//3.1.1/mqttv311}" --cafile "$files/ca.pem" \
            -u camera -P secret -v -t 'affectd/#' >>"$folder/messages" 2>>"$folder/reader.log" || true
        sleep 0.3
    done &
    local reader=$!; echo "$reader" >>"$work/pids"
    AFFECTD__PRIVACY__ALLOW_SWAP=true STATE_DIRECTORY=$folder "$binary" run -c "$folder/affectd.toml" >"$folder/log" 2>&1 &
    local daemon=$!; echo "$daemon" >>"$work/pids"
    windows() { grep -c '/door/window' "$folder/messages" || true; }
    enough() { [[ $(windows) -ge $1 ]]; }
    within 120 enough 3 || { echo "no windows:"; tail -n 3 "$folder/log" "$folder/reader.log"; return 1; }
    $kill; sleep 5; $start || { echo "the broker does not come back"; return 1; }
    within 120 grep -q "is back" "$folder/log" || { echo "affectd does not come back:"; tail -n 3 "$folder/log"; return 1; }
    local before; before=$(windows)
    within 120 enough $((before + 4)) || { echo "no windows afterwards:"; tail -n 3 "$folder/log" "$folder/reader.log"; return 1; }
    kill -TERM "$daemon"; wait "$daemon" || { echo "exit $?"; tail -n 3 "$folder/log"; return 1; }
    within 5 grep -q '/status stopped' "$folder/messages" || { echo "no \`stopped\`"; return 1; }
    local child; child=$(pgrep -P "$reader" || true)
    kill -KILL "$reader" $child 2>/dev/null || true
    # Those that the subscriber saw, against those that the broker acknowledged.
    grep '/door/window' "$folder/messages" | sed 's/^[^ ]* //' | python3 -c '
import json, sys
seen = [json.loads(line) for line in sys.stdin]
numbers = sorted({window["seq"] for window in seen})
gaps = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
print(f"{len(numbers)} windows, {len(seen) - len(numbers)} twice, missing {gaps}")
sys.exit(bool(gaps) or numbers[0] != 0)'
}
scenario() { local words=$1; shift; if detail=$("$@"); then report ok "$words: $detail"; else report FAILED "$words: $detail"; fi; }

rabbit_start || { tail -5 "$work/rabbit.log" >&2; echo "brokers: RabbitMQ does not start" >&2; exit 1; }
ctl() { inside env HOME=/srv/rabbit LC_ALL=C.UTF-8 ERL_EPMD_PORT=$((first + 4)) RABBITMQ_NODENAME=affectd@localhost /usr/lib/rabbitmq/bin/rabbitmqctl "$@" >/dev/null 2>&1; }
ctl add_user camera secret || ctl change_password camera secret
ctl set_permissions camera '.*' '.*' '.*'
scenario "RabbitMQ, MQTT 5 over TLS" delivers "mqtts://localhost:$((first + 2))" 5 rabbit_kill rabbit_start -h localhost -p $((first + 2))
scenario "RabbitMQ, MQTT 5 over WebSocket and TLS" delivers "wss://localhost:$((first + 3))/ws" 5 rabbit_kill rabbit_start -h localhost -p $((first + 2))
rabbit_kill
nats_start || { tail -5 "$work/nats.log" >&2; echo "brokers: NATS does not start" >&2; exit 1; }
scenario "NATS, MQTT 3.1.1 over TLS with a client certificate" delivers "mqtts://localhost:$((first + 7))" 3.1.1 nats_kill nats_start \
    -h localhost -p $((first + 7)) --cert "$files/client.pem" --key "$files/client.key"
exit "$failed"
