"""Renders the templates of a discovery message as Home Assistant does: JSON in on standard input, JSON out.

    {"message": {…}, "payloads": {"<topic>": [{…}, …]}}  ->  {"<topic>": [{"<component>": "<state>", …}, …]}
"""
import datetime
import json
import sys

import jinja2.sandbox

# As Home Assistant does: what is missing is no error, but a warning that is not to come.
environment = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)


def as_timestamp(value, default=None):
    try:
        if not isinstance(value, datetime.datetime):
            value = datetime.datetime.fromisoformat(value)
        return value.timestamp()
    except (TypeError, ValueError):
        return default


environment.globals.update(as_timestamp=as_timestamp, now=lambda: datetime.datetime.now(datetime.timezone.utc))


def main():
    asked = json.load(sys.stdin)
    components = asked["message"]["components"]
    answer = {}
    for topic, payloads in asked["payloads"].items():
        ours = {key: c for key, c in components.items() if c["state_topic"] == topic}
        answer[topic] = [
            {key: environment.from_string(c["value_template"]).render(value_json=payload, value=json.dumps(payload))
             for key, c in ours.items()}
            for payload in payloads
        ]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
