from audiostore.attempts import Patience
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
