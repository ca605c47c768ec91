"""The dashboard: each of its queries is run by a real Prometheus against a real system under load, and returns data."""

import asyncio

import pytest
import yaml

from tapedeck_testing.account import flush
from tapedeck_testing.prometheus import ALERTS, Prometheus, targets_of
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.queries import dashboard_queries, panels
from tapedeck_testing.recordings import in_messages

SPEAKERS = 4


@pytest.fixture
def watched(start_stack, program, tmp_path):
    """A system, and a Prometheus that looks at it each second."""
    binary = program("prometheus")
    stack = start_stack(environ={"TAPEDECK_BATCH_SECONDS": "3"})
    rules = yaml.safe_load(ALERTS.read_text())
    prometheus = Prometheus(binary, tmp_path / "prometheus", targets_of(stack), rules)
    yield stack, prometheus
    prometheus.stop()


async def speak(stack, number: int, cid: str) -> None:
    pcm = bytes(2 * 16_000 * 5)
    uid = f"user-{number}"
    client = ProtocolClient(
        stack.facts["listen"], stack.user_token(uid), cid, in_messages(pcm, 3_200), codec="pcm16"
    )
    await client.run()
    assert client.acked == client.total


async def read(stack, number: int, cid: str) -> None:
    path = f"/v1/users/user-{number}/conversations"
    async with stack.http() as http:
        await flush(http, f"user-{number}", cid)
        for rest in ("", f"/{cid}", f"/{cid}/chunks", f"/{cid}/audio"):
            (await http.get(path + rest)).raise_for_status()
        if number == 0:
            (await http.delete(f"{path}/{cid}")).raise_for_status()


async def test_every_panel_has_data(watched):
    stack, prometheus = watched
    for cid in ("first", "second"):  # a rate needs something that changes between two scrapes
        await asyncio.gather(*(speak(stack, number, cid) for number in range(SPEAKERS)))
        await asyncio.gather(*(read(stack, number, cid) for number in range(SPEAKERS)))
        await asyncio.sleep(2)
    left = dict(dashboard_queries())
    assert len(left) == len(dashboard_queries())

    def without_data() -> list[str]:
        for title, query in list(left.items()):
            if prometheus.values(query):
                del left[title]
        return sorted(left)

    await asyncio.to_thread(prometheus.await_nothing, without_data, 40)
    # And a system that is well rings no alarm.
    rules = prometheus.rules()
    assert {rule["health"] for rule in rules} == {"ok"}, [rule for rule in rules if rule["health"] != "ok"]
    assert prometheus.firing() == set()


def test_panels_do_not_overlap_and_say_what_they_show():
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        squares = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not squares & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= squares
        assert panel["description"] or panel["title"].startswith("How long"), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
