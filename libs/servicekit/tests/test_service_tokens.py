import hashlib
import json
import os

import pytest

from servicekit.errors import KeySourceError
from servicekit.service_tokens import ServiceIdentity, ServiceTokens


def entry(token, name="exporter", scopes=("audio:read",)):
    return {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "scopes": list(scopes)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.json"


def put(path, content):
    """Replace the file as Kubernetes does: by another one."""
    new = path.with_suffix(".new")
    new.write_text(content if isinstance(content, str) else json.dumps(content))
    os.replace(new, path)  # noqa: PTH105 - the atomic one, by its known name


def test_who_it_is(path):
    upper = entry("two", name="exporter", scopes=("audio:read", "ops:admin"))
    put(path, [entry("one"), {**upper, "sha256": upper["sha256"].upper()}])
    tokens = ServiceTokens(path)
    assert tokens.verify("one") == ServiceIdentity("exporter", frozenset({"audio:read"}))
    assert tokens.verify("two") == ServiceIdentity("exporter", frozenset({"audio:read", "ops:admin"}))


@pytest.mark.parametrize(
    "token", ["", "three", "one ", "x" * 9000, "\ud800", hashlib.sha256(b"one").hexdigest()]
)
def test_nobody(path, token):
    put(path, [entry("one"), entry("x" * 9000)])
    assert ServiceTokens(path).verify(token) is None


def test_without_a_file_there_are_none():
    assert ServiceTokens(None).verify("one") is None


def test_it_is_read_again_when_it_changes(path):
    put(path, [entry("one")])
    tokens = ServiceTokens(path)
    put(path, [entry("two")])
    assert tokens.verify("one") is None
    assert tokens.verify("two")


def test_a_broken_file_leaves_the_tokens_as_they_were_and_says_so_once(path, caplog):
    put(path, [entry("one")])
    tokens = ServiceTokens(path)
    put(path, "[{")
    assert tokens.verify("one")
    assert tokens.verify("one")
    path.unlink()
    assert tokens.verify("one")
    assert len(caplog.records) == 2
    put(path, [])
    assert tokens.verify("one") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        [{"name": "a", "sha256": "00", "scopes": []}],
        [{**entry("one"), "scopes": ["audio:reed"]}],
        [{**entry("one"), "name": "a/b"}],
        [{**entry("one"), "token": "one"}],
        [{"name": "a", "scopes": []}],
        " " * 1_100_000,
    ],
)
def test_files_that_are_refused(path, content):
    put(path, content)
    with pytest.raises(KeySourceError, match="service token"):
        ServiceTokens(path)


def test_a_missing_file_is_refused_at_start(path):
    with pytest.raises(KeySourceError, match="cannot read the service tokens"):
        ServiceTokens(path)
