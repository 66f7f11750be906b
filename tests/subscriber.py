"""An independent subscriber: prints one JSON line per MQTT message, with the verdict of the payload's JSON Schema.

    .venv/bin/python tests/subscriber.py PORT [5|3.1.1] [USER PASSWORD | session=NAME]

With a session it misses nothing while it is away, and is not told what is retained again. Waits for a broker that is not there yet, and reconnects to one that was restarted.
"""
import json
import pathlib
import sys
import time

import jsonschema
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SCHEMAS = pathlib.Path(__file__).parents[1] / "config/schema"


def schema(name):
    """The committed schema, and stricter: consumers must ignore keys that they do not know, a test must not."""
    loaded = json.loads((SCHEMAS / f"{name}.json").read_text())
    if loaded.get("type") == "object":
        loaded["unevaluatedProperties"] = False
    return jsonschema.Draft202012Validator(loaded, format_checker=jsonschema.FormatChecker(["date-time"]))


BY_TOPIC = {name: schema(name) for name in ("window", "info", "state", "status", "health", "result")}
BY_TOPIC["latest"] = BY_TOPIC["window"]


def verdict(topic, payload):
    name = topic.rsplit("/", 1)[-1]
    if name == "check":
        return ""  # the word by which `affectd check` looks whether messages arrive
    if name not in BY_TOPIC:
        return f"no schema for {topic}"
    # The status is a bare word, the rest is JSON.
    value = payload if name == "status" else json.loads(payload)
    errors = [e.message for e in BY_TOPIC[name].iter_errors(value)]
    return "; ".join(errors)


def on_message(_client, _data, message):
    # Commands are others' messages, and may be anything.
    if "/cmd/" in message.topic and not message.topic.endswith("/result"):
        return
    payload = message.payload.decode()
    try:
        # What is taken away has no payload.
        problem = verdict(message.topic, payload) if payload else ""
    except ValueError as error:
        problem = str(error)
    line = {"topic": message.topic, "payload": payload, "retain": message.retain, "qos": message.qos,
            "problem": problem}
    print(json.dumps(line), flush=True)


def on_connect(client, _data, flags, reason, _properties):
    if not flags.session_present:
        client.subscribe("affectd/#", qos=1)
    print(json.dumps({"connected": str(reason)}), flush=True)


def main():
    port, version = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "5"
    protocol = mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311
    session = sys.argv[3].removeprefix("session=") if len(sys.argv) > 3 and "=" in sys.argv[3] else ""
    # What an attempt to connect takes with it: MQTT 5 and 3.1.1 ask for a session in different places.
    how, asked = {}, {}
    if session and version == "5":
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        asked = {"clean_start": False, "properties": properties}
    elif session:
        how = {"clean_session": False}
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=session, protocol=protocol, **how)
    if len(sys.argv) > 4:
        client.username_pw_set(sys.argv[3], sys.argv[4])
    client.on_connect, client.on_message = on_connect, on_message
    client.reconnect_delay_set(min_delay=1, max_delay=1)
    while True:
        try:
            client.connect("127.0.0.1", port, **asked)
            break
        except OSError:
            time.sleep(0.1)
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    main()
