#!/bin/bash
# Other brokers for tests/outage.rs: RabbitMQ 4 (MQTT 5) and NATS (MQTT 3.1.1) of Debian 13, in a folder below target/, each
# one node on the loopback. Needs root, and mmdebstrap the first time.
#
#   tests/outage-brokers.sh setup
#   tests/outage-brokers.sh start|stop|kill rabbitmq|nats PORT      stop: as a service is stopped; kill: kill -9
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD/target/brokers/debian

setup() {
  [ -x "$ROOT/usr/sbin/nats-server" ] && [ -e "$ROOT/usr/lib/rabbitmq/bin/rabbitmq-server" ] && return
  command -v mmdebstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qq -y mmdebstrap >/dev/null
  echo "outage-brokers.sh: Debian 13 with RabbitMQ and NATS comes to $ROOT (400 MB)"
  # From where this system gets its own packages.
  local mirror
  mirror=$(grep -hoE 'https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1 | tr -d ' ' || true)
  rm -rf "$ROOT"
  mkdir -p "$(dirname "$ROOT")"
  # In a chroot no service may be started while packages are unpacked.
  mmdebstrap --quiet --mode=root --variant=minbase --include=rabbitmq-server,nats-server \
    --customize-hook='printf "127.0.0.1 localhost\n" > "$1/etc/hosts"' \
    trixie "$ROOT" "deb ${mirror:-http://deb.debian.org/debian} trixie main"
}

# A folder for the broker on this port, in the chroot.
home() { echo "/srv/$NAME-$PORT"; }

wait_for_port() {
  for _ in $(seq 600); do
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && return
    sleep 0.1
  done
  echo "outage-brokers.sh: $NAME does not listen on $PORT" >&2
  tail -20 "$ROOT$(home)/log" >&2
  exit 1
}

start_nats() {
  local home; home=$(home)
  cat > "$ROOT$home/conf" <<C
server_name: affectd-test
listen: 127.0.0.1:-1
jetstream { store_dir: $home/store, max_memory_store: 64MB, max_file_store: 1GB }
mqtt { listen: "127.0.0.1:$PORT", ack_wait: "10s" }
C
  # Not by a function: its process must be the one that is noted.
  chroot "$ROOT" /usr/sbin/nats-server -c "$home/conf" >> "$ROOT$home/log" 2>&1 &
  echo $! > "$ROOT$home/pid"
}

start_rabbitmq() {
  local home; home=$(home)
  mountpoint -q "$ROOT/proc" || mount -t proc proc "$ROOT/proc"
  [ -e "$ROOT/dev/null" ] || mount --bind /dev "$ROOT/dev"
  [ -f "$ROOT$home/.erlang.cookie" ] || { head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$ROOT$home/.erlang.cookie"; chmod 400 "$ROOT$home/.erlang.cookie"; }
  cat > "$ROOT$home/rabbit.conf" <<C
listeners.tcp = none
mqtt.listeners.tcp.1 = 127.0.0.1:$PORT
mqtt.allow_anonymous = true
anonymous_login_user = guest
anonymous_login_pass = guest
mqtt.durable_queue_type = quorum
mqtt.max_session_expiry_interval_seconds = 604800
C
  echo '[rabbitmq_mqtt].' > "$ROOT$home/plugins"
  chroot "$ROOT" env HOME="$home" LC_ALL=C.UTF-8 ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_NODENAME="affectd$PORT@localhost" \
    RABBITMQ_DIST_PORT=$((PORT > 40000 ? PORT - 20000 : PORT + 20000)) RABBITMQ_CONFIG_FILE="$home/rabbit.conf" \
    RABBITMQ_MNESIA_BASE="$home" RABBITMQ_LOG_BASE="$home" RABBITMQ_ENABLED_PLUGINS_FILE="$home/plugins" \
    RABBITMQ_PID_FILE="$home/pid" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}" \
    /usr/lib/rabbitmq/bin/rabbitmq-server >> "$ROOT$home/log" 2>&1 &
}

end() {
  local pid
  pid=$(cat "$ROOT$(home)/pid" 2>/dev/null) || return 0
  kill "$1" "$pid" 2>/dev/null || return 0
  for _ in $(seq 300); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  rm -f "$ROOT$(home)/pid"
}

case ${1:-} in
  setup) setup ;;
  start | stop | kill)
    NAME=$2 PORT=$3
    mkdir -p "$ROOT$(home)"
    case $1 in
      start) "start_$NAME" && wait_for_port ;;
      stop) end -TERM ;;
      kill) end -KILL ;;
    esac
    ;;
  *) sed -n '2,6p' "$0"; exit 64 ;;
esac
