"""The alerts: their rules are right, each fires and does not fire, and what they name is there."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tapedeck_testing.metrics_page import known_labels
from tapedeck_testing.prometheus import ALERTS
from tapedeck_testing.queries import SCRAPED_LABELS, alerts, dashboard_queries, selectors

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "deploy/monitoring/tests").glob("*.yaml"))


def test_promtool_takes_the_rules(program):
    done = subprocess.run(
        [program("promtool"), "check", "rules", ALERTS],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_fires_and_does_not_fire(program, path):
    done = subprocess.run(
        [program("promtool"), "test", "rules", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    fires, does_not = set(), set()
    for path in CASES:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for looked in case["alert_rule_test"]:
                (fires if looked["exp_alerts"] else does_not).add(looked["alertname"])
    assert fires == does_not == set(alerts())


def test_each_is_seen_firing_on_a_real_fault():
    """By those that `make faults` runs: what they wait for stands there as `trial.fires("…")`."""
    seen = {
        argument.value
        for path in Path(__file__).parent.glob("test_faults*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fires"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    assert seen == set(alerts())


def test_each_says_how_bad_it_is_and_where_to_read_on():
    for name, rule in alerts().items():
        assert re.fullmatch(r"Tapedeck[A-Za-z]+", name)
        assert re.fullmatch(r"\d+[mh]", rule["for"]), name
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert set(rule["annotations"]) == {"summary", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


QUERIES = [(name, rule["expr"]) for name, rule in alerts().items()] + dashboard_queries()


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_alerts_and_dashboard_ask_for_what_is_there(where, query):
    known = known_labels()
    assert selectors(query) or "ALERTS{" in query  # Prometheus' own series
    for name, wanted in selectors(query):
        assert name in known
        for label in wanted.keys() - SCRAPED_LABELS:
            for value in wanted[label]:
                there = known[name].get(label, set())
                assert any(re.fullmatch(value, one) for one in there), f"{name} has no {label}={value}"
    all_labels = {label for name, _ in selectors(query) for label in known[name]} | SCRAPED_LABELS
    all_labels |= {"le", "alertname"}
    for listed in re.findall(r"by \(([^)]*)\)", query):
        assert {one.strip() for one in listed.split(",")} <= all_labels
