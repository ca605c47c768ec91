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
    ],
)
def test_what_cannot_be_an_address_is_refused_without_its_password(text):
    with pytest.raises(BadUrlError) as refused:
        RedisUrl.parse(text)
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(RedisUrl.parse("redis://:secret@h?ssl_password=secret"))
