"""A real Prometheus on loopback that scrapes real processes, with our alerts loaded."""

import contextlib
import json
import math
import re
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tapedeck_testing.free_ports import free_port
from tapedeck_testing.stack import Stack

FILES: Final = Path(__file__).parents[3] / "deploy/helm/tapedeck/files"
ALERTS: Final = FILES / "alerts.yaml"
DASHBOARD: Final = FILES / "dashboard.json"
START_DEADLINE_S: Final = 30.0
_QUICK: Final = {
    "> 1800": "> 12",
    "> 300": "> 8",
    "> 3600": "> 400",  # an issuer's keys are fetched each five minutes: what is older was never fetched
    "> 2.5": "> 1",
    "> 20": "> 2",
}
"""What takes long, or many, as a test has them."""


class Prometheus:
    """One server with a folder of its own. `rules` are what it evaluates, once a second, as it scrapes."""

    def __init__(
        self, binary: str, folder: Path, targets: Mapping[str, str], rules: Mapping[str, Any]
    ) -> None:
        """`targets`: address by job."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._port = free_port()
        self._targets = {job: [address] for job, address in targets.items()}
        for job in targets:
            self._point(job)
        (folder / "rules.yaml").write_text(yaml.safe_dump(dict(rules)))
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": job, "file_sd_configs": [{"files": [str(self._file(job))]}]} for job in targets
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        with (folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    binary,
                    f"--config.file={folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}/api/v1", timeout=10, trust_env=False
        )
        deadline = time.monotonic() + START_DEADLINE_S
        # It begins to scrape some five seconds after its start, and what happened before that was never seen.
        while not (self._answers() and len(self.values("up == 1", last_s=0)) == len(targets)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((folder / "prometheus.log").read_text()[-2000:])
            time.sleep(0.05)

    @contextlib.contextmanager
    def scraping(self, job: str, address: str) -> Iterator[None]:
        """Looks at one more process of a job meanwhile."""
        self._targets[job].append(address)
        self._point(job)
        try:
            yield
        finally:
            self._targets[job].remove(address)
            self._point(job)

    def _file(self, job: str) -> Path:
        return self._folder / f"{job}.json"

    def _point(self, job: str) -> None:
        """Has its targets read: as one step, for Prometheus looks whenever something moves there."""
        new = self._folder / f"{job}.new"
        new.write_text(json.dumps([{"targets": [one.removeprefix("http://") for one in self._targets[job]]}]))
        new.replace(self._file(job))

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self._client.get("/query", params={"query": "1"}).status_code == httpx.codes.OK
        return False

    def stop(self) -> None:
        """Ends it."""
        self._client.close()
        self._process.terminate()
        self._process.wait(20)

    def values(self, query: str, last_s: int = 60) -> list[float]:
        """Every finite value that a query has had in the last seconds."""
        now = time.time()
        params: dict[str, str | float] = {"query": query, "start": now - last_s, "end": now, "step": 1}
        answer = self._client.get("/query_range", params=params)
        assert answer.status_code == httpx.codes.OK, answer.text
        rows = answer.json()["data"]["result"]
        found = [float(value) for row in rows for _, value in row["values"]]
        return [value for value in found if math.isfinite(value)]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule as it was evaluated last."""
        groups = self._client.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = self._client.get("/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def await_nothing(self, left: Callable[[], Collection[str]], deadline_s: float = 60) -> None:
        """Returns when nothing is left. Fails the test, and names what is, if it does not come to that in time."""
        deadline = time.monotonic() + deadline_s
        while still := left():
            if time.monotonic() > deadline:
                pytest.fail(f"{still}: not within {deadline_s:.0f} s; firing: {sorted(self.firing())}")
            time.sleep(0.25)


def targets_of(stack: Stack) -> dict[str, str]:
    """What is scraped of a running system."""
    admin: dict[str, str] = stack.facts["admin"]
    return admin


def hurried_rules() -> dict[str, Any]:
    """Our alerts, with minutes of waiting, looking back and growing old turned into seconds, so that a test can see them come and go."""
    rules: dict[str, Any] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "1s" if rule["for"] != "0m" else "0s"
            expr = re.sub(r"\[\d+m\]", "[10s]", rule["expr"].replace("[1h]", "[60s]"))
            expr = re.sub(r"offset \d+m", "offset 10s", expr).replace("offset 1d", "offset 20s")
            for slow, quick in _QUICK.items():
                expr = expr.replace(slow, quick)
            rule["expr"] = expr
    return rules
