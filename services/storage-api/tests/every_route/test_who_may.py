"""Every route, asked for what is there by whoever may not: nothing is said, and nothing changed. Then by who may."""

from typing import get_args

from servicekit.service_tokens import Scope
from storage_api.app import build_app


def test_every_route_has_its_request(api, rows, requests):
    """Derived from the app itself: a route that is new fails here first."""
    routes, seen = [build_app(api.services)], set()
    while routes:
        route = routes.pop()
        routes += [route._app] if hasattr(route, "_app") else getattr(route, "routes", [])
        path = getattr(route, "path", "").replace(":segment}", "}")
        if path.startswith("/v1/"):
            seen |= {f"{method} {path}" for method in route.methods}
    # HEAD stands beside each GET, and has a row where it is described.
    implied = {f"HEAD {name[4:]}" for name in requests if name.startswith("GET ")}
    assert seen | implied == requests.keys() | implied
    assert seen >= requests.keys()


async def test_the_openapi_description_names_the_same(api, requests):
    paths = (await api.http.get("/openapi.json")).json()["paths"]
    described = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert described == requests.keys()


async def test_whoever_may_not_is_refused_and_changes_nothing(house, row, asked, one_bus, tokens_file):
    user, foreign = house.api.token("user-1"), house.api.token("user-2")
    forged = house.api.token("user-1", secret="another secret of more than 32 bytes")
    tokens_file(set(get_args(Scope)) - {row.scope, *row.or_scopes})
    told = (403, "forbidden") if row.scope == "ops:admin" else (404, "not_found")
    before = await house.holds(one_bus)
    for token, expected in (
        (None, (401, "unauthorized")),
        ("not-a-token", (401, "unauthorized")),
        (forged, (401, "unauthorized")),
        (house.api.token("user-1", expires_in_s=-60), (401, "token_expired")),
        (foreign, told),
        ("changed-token", (403, "forbidden")),  # without the scope
        *(() if asked.users else [(user, (403, "forbidden"))]),
    ):
        answer = await house.ask(row, token)
        code = expected[1] if row.method == "HEAD" else answer.json()["code"]
        assert (answer.status_code, code) == expected, token
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")
        if answer.status_code == 404 and row.method != "HEAD":
            # It looks as if nothing were there at all.
            path = house.path(row, uid="nobody", cid="nothing", id="nothing")
            nowhere = await house.ask(row, token, path=path)
            assert {**answer.json(), "request_id": ""} == {**nowhere.json(), "request_id": ""}
    assert await house.holds(one_bus) == before


async def test_by_a_service_with_the_scope_alone(house, row, asked, tokens_file):
    for scope in (row.scope, *row.or_scopes):
        tokens_file({scope})
        assert (await house.ask(row, "changed-token")).status_code == asked.status


async def test_by_its_own_user(house, users_row, requests):
    answer = await house.ask(users_row, house.api.token("user-1"))
    assert answer.status_code == requests[f"{users_row.method} {users_row.path}"].status
