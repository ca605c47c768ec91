"""Every row of the page of storage-api (its table of requests): that there is such a route, what it takes, and what it answers.

The page itself lies with the specification and is not part of the project: this is its table, row by row.
"""

import pytest

USER = "/v1/users/{uid}"
CONVERSATION = USER + "/conversations/{cid}"
SETTINGS = "protection store_audio daily_limit_ms"
DELETED = "deleted_objects deleted_seconds"
OPERATION = "id done progress error result"

PAGE = {
    f"GET {USER}/conversations": ("page_size page_token live", "conversations next_page_token"),
    f"GET {CONVERSATION}": (
        "",
        "conversation_id start end recorded_seconds stored_seconds bytes chunks protection live",
    ),
    f"GET {CONVERSATION}/chunks": ("start end page_size page_token", "chunks gaps next_page_token"),
    f"GET {CONVERSATION}/recordings": ("max_gap_s", "recordings"),
    f"GET {CONVERSATION}/audio": (
        "format start end timestamps fill_gaps sample_rate channels strict",
        None,
    ),
    f"HEAD {CONVERSATION}/audio": (
        "format start end timestamps fill_gaps sample_rate channels strict",
        None,
    ),
    f"GET {CONVERSATION}/waveform": (
        "samples_per_pixel start end",
        "version channels sample_rate samples_per_pixel bits length data",
    ),
    f"DELETE {CONVERSATION}/chunks": ("timestamps", DELETED),
    f"DELETE {CONVERSATION}/audio": ("start end", DELETED),
    f"DELETE {CONVERSATION}": ("", DELETED),
    f"DELETE {USER}/audio": ("", OPERATION),
    f"POST {USER}/conversations:merge": ("", OPERATION),
    f"POST {CONVERSATION}:flush": ("", "stored_seconds"),
    "GET /v1/operations/{id}": ("", OPERATION),
    f"GET {USER}/settings": ("", SETTINGS),
    f"PUT {USER}/settings": ("", SETTINGS),
    f"GET {USER}/usage": ("from to", "days daily_limit_ms"),
    "GET /v1/buffers": ("page_size page_token", "buffers next_page_token"),
    "POST /v1/buffers:flush": ("", "asked"),
    "GET /v1/dead-letters": ("page_size page_token", "dead_letters next_page_token"),
    "POST /v1/dead-letters/{id}:retry": ("", "id"),
}
"""Method and path, the parameters of the query, and members that the answer has."""

MEMBERS = {
    f"GET {USER}/conversations": ("conversations", PAGE[f"GET {CONVERSATION}"][1]),
    f"GET {CONVERSATION}/chunks": (
        "chunks",
        "timestamp start end duration_ms path size is_batch format protection state",
    ),
    f"GET {CONVERSATION}/recordings": ("recordings", "id start end recorded_seconds timestamps"),
    f"GET {USER}/usage": ("days", "day ms"),
    "GET /v1/buffers": ("buffers", "user_id conversation_id"),
    "GET /v1/dead-letters": ("dead_letters", "id user_id conversation_id reason"),
}
"""Where the answer is a list: what it is called, and members of what is in it."""

ELSEWHERE = {
    "POST /v1/tickets": "services/listen/tests/test_http_side.py",
    "GET /livez": "libs/servicekit/tests/test_admin.py",
    "GET /readyz?verbose": "libs/servicekit/tests/test_admin.py",
    "GET /metrics": "libs/servicekit/tests/test_admin.py",
}
"""Rows of the page that others serve, and the tests that ask for them."""


def test_the_table_is_the_page(rows):
    assert rows.keys() == PAGE.keys()


def test_it_takes_the_parameters_of_the_page(row):
    taken = {parameter.name for parameter in row.parameters if parameter.place == "query"}
    assert taken == set(PAGE[f"{row.method} {row.path}"][0].split())


async def test_it_answers_as_the_page_says(house, row, asked):
    answer = await house.ask(row)
    assert answer.status_code == asked.status
    name = f"{row.method} {row.path}"
    members = PAGE[name][1]
    if members is None:
        assert answer.headers["content-type"] == "audio/wav"
        assert int(answer.headers["content-length"]) == len(answer.content) or row.method == "HEAD"
        return
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() >= set(members.split())
    if name in MEMBERS:
        kind, members = MEMBERS[name]
        assert answer.json()[kind][0].keys() >= set(members.split())
    if name.startswith("DELETE") and asked.status == 200:
        assert answer.json()["deleted_seconds"] > 0


async def test_every_write_leaves_an_audit_line(house, writing_row, caplog):
    caplog.set_level("INFO")
    await house.ask(writing_row)
    [line] = [one for one in caplog.records if getattr(one, "audit", False)]
    assert (line.actor, line.actor_name, line.operation) == ("service", "all", writing_row.operation_id)


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_what_others_serve_is_not_here_and_is_tried_there(api, request, name):
    method, path = name.split()
    answer = await api.http.request(method, path, headers={"Authorization": "Bearer all-token"})
    assert answer.status_code == 404
    tests = request.config.rootpath / ELSEWHERE[name]
    assert path.partition("?")[0] in tests.read_text("utf-8")
