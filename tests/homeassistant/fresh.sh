#!/usr/bin/env bash
# fresh.sh ROOT CONFIG PORT BROKER_PORT: a configuration of Home Assistant in ROOT that needs no onboarding and knows the broker.
set -euo pipefail
root=$1 config=$2 port=$3 broker=$4
storage=$root$config/.storage
rm -rf "${root:?}$config"
mkdir -p "$storage"
cat > "$root$config/configuration.yaml" <<'YAML'
homeassistant:
  name: test
  time_zone: UTC
  unit_system: metric
  country: DE
frontend:
api:
config:
YAML
cat > "$storage/onboarding" <<'JSON'
{"version":4,"minor_version":1,"key":"onboarding","data":{"done":["user","core_config","analytics","integration"]}}
JSON
# What stands under `http:` in YAML is on trial in this version and is taken back after five minutes.
cat > "$storage/http" <<JSON
{"version":3,"minor_version":1,"key":"http","data":{"stable":{"server_port":$port,"server_host":["127.0.0.1"],"cors_allowed_origins":[],"login_attempts_threshold":-1,"ip_ban_enabled":true,"ssl_profile":"intermediate_v6","use_x_frame_options":true,"created_at":"2026-01-01T00:00:00.000000+00:00","error":null,"error_message":null},"pending":null,"yaml_migration_done":true}}
JSON
at=2026-01-01T00:00:00.000000+00:00
cat > "$storage/core.config_entries" <<JSON
{"version":1,"minor_version":5,"key":"core.config_entries","data":{"entries":[{"created_at":"$at","modified_at":"$at","data":{"broker":"127.0.0.1","port":$broker,"protocol":"5","tls_insecure":false,"transport":"tcp"},"disabled_by":null,"discovery_keys":{},"domain":"mqtt","entry_id":"01KTEST000000000000000MQTT","minor_version":1,"options":{},"pref_disable_new_entities":false,"pref_disable_polling":false,"source":"user","subentries":[],"title":"127.0.0.1","unique_id":null,"version":2}]}}
JSON
chroot "$root" env HOME=/root /srv/ha/bin/hass --script auth -c "$config" add test test-only >/dev/null
