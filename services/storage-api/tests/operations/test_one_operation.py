"""`GET /v1/operations/{id}`: whose it is, and what it says."""

import pytest

from audiobus import operations


async def ask(api, operation_id: str, token: str):
    headers = {"Authorization": f"Bearer {token}"}
    return await api.http.get(f"/v1/operations/{operation_id}", headers=headers)


@pytest.fixture
async def operation_id(one_bus) -> str:
    assert await operations.begin(one_bus, "op-1", "thing", "user-1", b"{}")
    return "op-1"


async def test_a_new_one_is_not_done(api, operation_id):
    answer = await ask(api, operation_id, "all-token")
    assert answer.status_code == 200
    said = answer.json()
    assert said.pop("created").endswith("Z")
    assert said == {
        "id": "op-1",
        "kind": "thing",
        "done": False,
        "progress": None,
        "error": None,
        "result": None,
    }


async def test_it_says_how_far_it_is_and_what_came_of_it(api, operation_id, one_bus):
    await operations.take(one_bus, operation_id, "a", 60_000)
    trouble = b'{"code":"store_unavailable","detail":"away"}'
    await operations.write(
        one_bus, operation_id, "a", "hold", 60_000, {"progress": b'{"n":1}', "error": trouble}
    )
    said = (await ask(api, operation_id, "read-token")).json()
    assert (said["progress"], said["error"]["code"], said["done"]) == ({"n": 1}, "store_unavailable", False)
    await operations.write(one_bus, operation_id, "a", "done", 60_000, {"result": b'{"n":2}', "error": b""})
    said = (await ask(api, operation_id, "read-token")).json()
    assert (said["result"], said["error"], said["done"]) == ({"n": 2}, None, True)


async def test_users_see_their_own_and_services_with_the_scope_all(api, operation_id):
    assert (await ask(api, operation_id, api.token("user-1"))).status_code == 200
    assert (await ask(api, operation_id, "read-token")).status_code == 200
    foreign = await ask(api, operation_id, api.token("user-2"))
    nothing = await ask(api, "op-2", api.token("user-1"))
    assert (foreign.status_code, nothing.status_code) == (404, 404)
    assert foreign.json()["detail"] == nothing.json()["detail"]
    # Who may begin one may see what becomes of it.
    assert (await ask(api, operation_id, "write-token")).status_code == 200
    assert (await ask(api, operation_id, "ops-token")).status_code == 403
