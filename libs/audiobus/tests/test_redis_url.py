"""Addresses of Redis, taken apart: no server needed."""

import pytest

from audiobus.errors import BadUrlError
from audiobus.redis_url import Kind, RedisUrl


def test_one_server():
    url = RedisUrl.parse("rediss://me:s%40crt@h:7000/3?ssl_ca_certs=/ca.pem")
    assert (url.kind, url.hosts, url.tls, url.service) == (Kind.SINGLE, (("h", 7000),), True, "")
    assert url.options == {"username": "me", "password": "s@crt", "db": 3, "ssl_ca_certs": "/ca.pem"}


def test_a_socket_file_has_no_host():
    url = RedisUrl.parse("unix:///run/redis.sock")
    assert (url.kind, url.hosts, url.options) == (Kind.SINGLE, (), {"path": "/run/redis.sock"})


def test_a_cluster_may_be_asked_at_several_places():
    url = RedisUrl.parse("redis+cluster://:pw@a:7000,b,[::1]:7002")
    assert (url.kind, url.tls) == (Kind.CLUSTER, False)
    assert url.hosts == (("a", 7000), ("b", 6379), ("::1", 7002))
    assert url.options == {"password": "pw"}


def test_sentinels_have_a_service_and_a_login_of_their_own():
    url = RedisUrl.parse(
        "rediss+sentinel://me:pw@a,b:26380/mymaster/2?sentinel_username=s&sentinel_password=o%2Fp&ssl_ca_certs=/ca.pem"
    )
    assert (url.kind, url.tls, url.service) == (Kind.SENTINEL, True, "mymaster")
    assert url.hosts == (("a", 26379), ("b", 26380))
    assert url.options == {"username": "me", "password": "pw", "db": 2, "ssl_ca_certs": "/ca.pem"}
    assert url.sentinel_options == {"username": "s", "password": "o/p", "ssl_ca_certs": "/ca.pem"}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("redis://a/", None),
        ("redis://a/15", 15),
        ("redis://a?db=3", 3),
        ("unix:///run/redis.sock?db=3", 3),
        ("redis+sentinel://a/mymaster/4/", 4),
        ("redis+cluster://a,b/", None),
    ],
)
def test_databases(text, number):
    assert RedisUrl.parse(text).options.get("db") == number


def test_a_value_may_hold_what_ends_a_password():
    url = RedisUrl.parse("redis+sentinel://a/mymaster?sentinel_password=s@cret&password=p@")
    assert (url.sentinel_options["password"], url.options["password"]) == ("s@cret", "p@")


def test_without_more_a_sentinels_master_has_database_0():
    url = RedisUrl.parse("redis+sentinel://a/mymaster")
    assert (url.options, url.sentinel_options) == ({}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://x",
        "h:6379",
        "redis+carrier://x",
        "redis://:secret@a,b",
        "redis+cluster://",
        "redis+cluster://a,,b",
        "redis+cluster://:secret@a:x",
        "redis+sentinel://:secret@a",
        "redis+sentinel://a/mymaster/secret",
        "redis://:secret@a?socket_timeout=x",
        "redis://:secret@a/x",
        "redis://:secret@a:6379/1/2",
        "redis://:secret@a/123456",
        "redis://:secret@a/-1",
        "redis://:secret@a/٣",
        "redis://:secret@a/3?db=4",
        "redis://:secret@a/3#secret",
        "redis://:secret@a:0",
        "redis://:secret@a:٣",
        "redis://:secret@a b",
        "redis://:secret@[a",
        "redis://:secret/more@a",
        "redis://:secret?more@a",
        "redis://:se?secret=more@a",
        "redis://:secret#more@a",
        "redis://:secret℀@a",
        "redis://:secret@a?db=secret",
        "redis://:secret@a?db=",
        "redis://:secret@a?db=x",
        "redis://:secret@a?password=",
        "redis://:secret@a?socket_timeout=0",
        "redis://:secret@a?socket_timeout=1&socket_timeout=2",
        "redis://:secret@a?retry_on_timeout=true",
        "redis://:secret@a?decode_responses=true",
        "redis://:secret@a?protocol=3",
        "redis://:secret@a?ssl_ca_certs=/ca",
        "redis://:secret@a?sentinel_password=secret",
        "rediss://:secret@a?ssl_cert_reqs=perhaps",
        "redis+cluster://:secret@a/3",
        "redis+cluster://:secret@a?db=3",
        "redis+cluster://:secret@a,b:0",
        "redis+sentinel://:secret@a/mymaster/x1",
        "redis+sentinel://:secret@a/mymaster/1/2",
        "unix://",
        "unix:///run/redis.sock?db=x",
        "unix://run/redis.sock",
        "unix://me:secret@run/redis.sock",
    ],
)
def test_what_cannot_be_an_address_is_refused_without_its_password(text):
    with pytest.raises(BadUrlError) as refused:
        RedisUrl.parse(text)
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(RedisUrl.parse("rediss://:secret@h?ssl_password=secret"))
