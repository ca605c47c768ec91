"""Every route, asked for what is not there: 404, as the page says, and nothing comes of it."""

import msgspec


async def test_what_nobody_recorded_into_is_404_everywhere(house, conversations_row, one_bus):
    row = conversations_row
    before = await house.holds(one_bus)
    answer = await house.ask(row, path=house.path(row, cid="nothing"))
    assert answer.status_code == 404
    if row.method != "HEAD":
        assert answer.json()["code"] == "not_found"
    assert await house.holds(one_bus) == before


async def test_an_id_that_names_nothing(house, other_ids_row, one_bus):
    row = other_ids_row
    before = await house.holds(one_bus)
    other = house.letter[:-4] + "AAAA"
    for name in ("nothing", other):
        answer = await house.ask(row, path=house.path(row, id=name))
        assert answer.status_code in (400, 404), name
    assert await house.holds(one_bus) == before


async def test_a_body_that_names_nothing(house, naming_row, one_bus):
    bodies = {
        "MergeConversations": {"sources": ["conv-2", "nothing"], "target": "all", "delete_sources": True},
        "FlushBuffers": {"user_id": "user-1", "conversation_id": "nothing"},
    }
    body = bodies[naming_row.body.__name__]
    before = await house.holds(one_bus)
    answer = await house.ask(naming_row, content=msgspec.json.encode(body))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await house.holds(one_bus) == before
