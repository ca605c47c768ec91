import pytest

from audiostore.attempts import Patience
from audiostore.errors import StoreConfigurationError
from audiostore.obstore_client import (
    CONNECT_TIMEOUT_S,
    READ_TIMEOUT_S,
    client_options,
    no_retries,
    plain_http,
)


def test_plain_http_is_taken_only_where_it_was_written(monkeypatch):
    names = ("TAPEDECK_TEST_ONE", "TAPEDECK_TEST_OTHER")
    assert not plain_http(names)
    monkeypatch.setenv("TAPEDECK_TEST_OTHER", "https://127.0.0.1:9000")
    assert not plain_http(names)
    monkeypatch.setenv("TAPEDECK_TEST_ONE", "http://127.0.0.1:9000")
    assert plain_http(names)
    assert client_options(allow_http=False)["allow_http"] is False


def test_obstore_itself_never_tries_again():
    assert no_retries() == {"max_retries": 0}


def test_a_silent_connection_leaves_time_for_another_try():
    assert Patience().begin_for_s > CONNECT_TIMEOUT_S + READ_TIMEOUT_S


@pytest.mark.parametrize(
    "url",
    ["http://not a url", "https://", "s3.example.org", "ftp://s3.example.org", "http://h:0", "http://h:port"],
)
def test_an_endpoint_that_is_no_address_is_refused_by_its_name(monkeypatch, url):
    monkeypatch.setenv("AN_ENDPOINT", url)
    with pytest.raises(StoreConfigurationError, match=r"^AN_ENDPOINT is no address: write https://"):
        plain_http(("AN_ENDPOINT",))


@pytest.mark.parametrize("url", ["http://127.0.0.1:7070", "https://s3.example.org/path", "http://[::1]:9000"])
def test_an_endpoint_may_be_any_host(monkeypatch, url):
    monkeypatch.setenv("AN_ENDPOINT", url)
    assert plain_http(("AN_ENDPOINT",)) == url.startswith("http:")
