"""What queries of Prometheus name: series and label values, to be held against the code. No parser of PromQL, but enough for ours."""

import json
import re
from typing import Any, Final

import yaml

from tapedeck_testing.prometheus import ALERTS, DASHBOARD

_SELECTOR: Final = re.compile(r"\b((?:tapedeck|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')
SCRAPED_LABELS: Final = frozenset({"namespace", "job", "instance", "pod"})
"""Put on by whoever scrapes."""


def selectors(query: str) -> list[tuple[str, dict[str, list[str]]]]:
    """Every series that a query asks for, with the values that it names of each label."""
    found = []
    for name, matchers in _SELECTOR.findall(query):
        labels = {label: value.split("|") for label, _, value in _MATCHER.findall(matchers)}
        found.append((name, labels))
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """Our alerts by name."""
    rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels, without its rows."""
    return [
        one for one in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if one["type"] != "row"
    ]


def dashboard_queries() -> list[tuple[str, str]]:
    """Title of the panel, and query as Prometheus takes it: Grafana's variables are filled in."""
    filled = {"$__rate_interval": "15s", "$__range": "1m", "$namespace": ".*"}
    found = []
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for variable, value in filled.items():
                query = query.replace(variable, value)
            found.append((f"{panel['title']}: {target['legendFormat']}", query))
    return found
