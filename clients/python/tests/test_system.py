import time

import jwt
import pytest

from servicekit.auth import UserTokens
from servicekit.groups import AuthSettings
from servicekit.ids import uid_from_claim
from servicekit.metrics import Metrics
from tapedeck import ready_file, tokens
from tapedeck.errors import SystemNotFoundError, TokenError
from tapedeck.ready_file import Admin, Pids, Ready
from tapedeck.system import System

SECRET = "s" * 48


def ready(**changes):
    fields = {
        "listen": "ws://l",
        "storage_api": "http://s",
        "redis": "redis://r",
        "store": "file:///x",
        "console": "http://s/console",
        "service_token": "service",
        "jwt_secret": SECRET,
        "pids": Pids(listen=(1,)),
        "admin": Admin("a", "b", "c"),
    }
    return Ready(**(fields | changes))


@pytest.fixture
def environ(tmp_path):
    ready_file.write(tmp_path / "r.json", ready())
    return {"TAPEDECK_READY_FILE": str(tmp_path / "r.json")}


def test_the_ready_file_is_the_last_resort(environ):
    system = System(environ=environ)
    assert (system.listen_url, system.storage_url) == ("ws://l", "http://s")
    assert (system.uid, system.reading_token()) == ("demo", "service")
    claims = jwt.decode(system.user_token(), SECRET, algorithms=["HS256"])
    assert claims["sub"] == "demo"
    assert claims["exp"] > claims["iat"]


def test_the_environment_goes_before_it_and_options_before_that(environ):
    token = tokens.mint(SECRET, "anna", now_s=1)
    environ |= {"TAPEDECK_LISTEN_URL": "ws://e", "TAPEDECK_STORAGE_URL": "http://e", "TAPEDECK_TOKEN": token}
    system = System(environ=environ)
    assert (system.listen_url, system.storage_url, system.uid) == ("ws://e", "http://e", "anna")
    assert system.user_token() == system.reading_token() == token
    given = System("ws://o", "opaque", "bert", environ)
    assert (given.listen_url, given.storage_url, given.uid, given.user_token()) == (
        "ws://o",
        "ws://o",
        "bert",
        "opaque",
    )


def test_without_any_it_says_what_to_do(tmp_path):
    nowhere = {"TAPEDECK_READY_FILE": str(tmp_path / "none.json")}
    with pytest.raises(SystemNotFoundError, match="no running system") as caught:
        _ = System(environ=nowhere).listen_url
    assert "tapedeck up" in caught.value.hint
    with pytest.raises(SystemNotFoundError, match="no token for ws://x"):
        System("ws://x", environ=nowhere).user_token()


def test_a_damaged_ready_file(tmp_path):
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(SystemNotFoundError, match="can't be read"):
        ready_file.read(tmp_path / "r.json")


def test_a_system_without_a_secret_mints_nothing(tmp_path):
    ready_file.write(tmp_path / "r.json", ready(jwt_secret=""))
    with pytest.raises(TokenError, match="no secret"):
        System(environ={"TAPEDECK_READY_FILE": str(tmp_path / "r.json")}).user_token()


def test_the_ready_file_has_the_form_that_others_rely_on(tmp_path):
    ready_file.write(tmp_path / "sub" / "r.json", ready())
    text = (tmp_path / "sub" / "r.json").read_text()
    assert '"pids": {' in text
    assert ready_file.read(tmp_path / "sub" / "r.json") == ready()
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["r.json"]
    ready_file.remove(tmp_path / "sub" / "r.json")
    ready_file.remove(tmp_path / "sub" / "r.json")


def test_subjects():
    assert tokens.subject(tokens.mint(SECRET, "u", now_s=1)) == "u"
    assert tokens.subject("no jwt") is None


@pytest.mark.parametrize("identity", ["alice", "auth0|abc", "anna+x@example.com", "sha256-" + "0" * 32])
@pytest.mark.parametrize("claim", ["sub", "email", "https://example.com/uid"])
async def test_a_tokens_user_is_the_one_that_the_services_take_it_for(tmp_path, identity, claim):
    (tmp_path / "secret").write_text(SECRET)
    served = UserTokens(
        AuthSettings(mode="jwt", secret_file=tmp_path / "secret", uid_claim=claim), Metrics("test", "0")
    )
    claims = {"sub": "somebody", claim: identity, "exp": time.time() + 60}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    async with served:
        uid = (await served.verify(token)).uid
    environ = {"TAPEDECK_JWT_UID_CLAIM": claim, "TAPEDECK_TOKEN": token}
    assert System(environ=environ).uid == uid
    assert System(user=uid, environ=environ).uid == uid


def test_an_identity_may_be_named_as_it_stands_in_tokens(environ):
    system = System(user="auth0|abc", environ=environ | {"TAPEDECK_JWT_UID_CLAIM": "email"})
    assert system.uid == uid_from_claim("auth0|abc")
    claims = jwt.decode(system.user_token(), SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["email"]) == ("auth0|abc", "auth0|abc")
    with pytest.raises(TokenError, match="hash of an identity"):
        System(user=system.uid, environ=environ).user_token()


def test_a_token_without_the_claim_names_nobody(environ):
    token = jwt.encode({"sub": "anna", "email": 7}, SECRET, algorithm="HS256")
    for claim in ("email", "name"):
        with pytest.raises(TokenError, match=f"no text in its claim '{claim}'") as caught:
            _ = System(token=token, environ=environ | {"TAPEDECK_JWT_UID_CLAIM": claim}).uid
        assert "TAPEDECK_JWT_UID_CLAIM" in caught.value.hint
        assert token not in str(caught.value)
