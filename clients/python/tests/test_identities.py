"""User tokens whose claim is no valid uid, or another than `sub`, against the real services: what is sent can be got, also by `helm test`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest

from servicekit.ids import uid_from_claim
from tapedeck import StorageClient, sample
from tapedeck_testing.stack import Stack

HELM_TEST = Path(__file__).parents[3] / "deploy/helm/tapedeck/files/record_and_read.py"


@pytest.fixture(scope="module")
def by_email(tmp_path_factory):
    """A system that takes users from the claim `email`."""
    directory = tmp_path_factory.mktemp("by_email")
    running = Stack(directory, environ={"TAPEDECK_JWT_UID_CLAIM": "email"}).start()
    yield running
    assert running.stop() == 0


@pytest.fixture(params=["alice", "auth0|abc", "email"])
def case(request, stack):
    """A system, the claim that it takes users from, and a token's claims."""
    if request.param == "email":
        return request.getfixturevalue("by_email"), "email", {"sub": "auth0|7", "email": "anna+x@example.com"}
    return stack, "sub", {"sub": request.param}


def signed(system, claims):
    return jwt.encode({**claims, "exp": int(time.time()) + 600}, system.facts["jwt_secret"], "HS256")


def run(words, folder, **environ):
    kept = {name: text for name, text in os.environ.items() if not name.startswith("TAPEDECK_")}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=kept | environ, capture_output=True, timeout=90, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def where(system, claim):
    facts = system.facts
    environ = {"TAPEDECK_LISTEN_URL": facts["listen"], "TAPEDECK_STORAGE_URL": facts["storage_api"]}
    return environ if claim == "sub" else environ | {"TAPEDECK_JWT_UID_CLAIM": claim}


def test_what_is_sent_is_listed_and_got(case, tmp_path):
    system, claim, claims = case
    environ = where(system, claim) | {"TAPEDECK_TOKEN": signed(system, claims)}
    said = []
    for words in (
        ["send", str(sample.PATH), "--conversation", "mine", "--json"],
        ["ls", "--json"],
        ["get", "mine", "-o", "it.wav", "--json"],
    ):
        code, out, err = run(["-m", "tapedeck", *words], tmp_path, **environ)
        assert code == 0, (words, err)
        said.append(json.loads(out))
    uid = uid_from_claim(claims[claim])
    assert [one["user"] for one in said[:2]] == [uid, uid]
    assert [one["conversation_id"] for one in said[1]["conversations"]] == ["mine"]
    assert said[2]["missing"] == 0


def test_helm_test_records_reads_and_deletes(case, tmp_path):
    system, claim, claims = case
    token = signed(system, claims)
    environ = where(system, "sub") | ({} if claim == "sub" else {"TEST_UID_CLAIM": claim})
    code, out, err = run([str(HELM_TEST)], tmp_path, TAPEDECK_TOKEN=token, **environ)
    assert (code, err) == (0, ""), out
    with StorageClient(system.facts["storage_api"], token) as client:
        left = [one.conversation_id for one in client.conversations(uid_from_claim(claims[claim]))]
    assert not [one for one in left if one.startswith("helm-test")]


def test_a_system_by_another_claim_makes_its_tokens_by_it(by_email, tmp_path):
    environ = {"TAPEDECK_READY_FILE": str(by_email.ready_file), "TAPEDECK_JWT_UID_CLAIM": "email"}
    words = ["-m", "tapedeck", "send", str(sample.PATH), "--user", "auth0|made", "--json"]
    code, out, err = run(words, tmp_path, **environ)
    assert code == 0, err
    assert json.loads(out)["user"] == uid_from_claim("auth0|made")
