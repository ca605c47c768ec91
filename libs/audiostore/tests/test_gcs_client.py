import pytest
import requests
import urllib3
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import MalformedError, RefreshError, TransportError
from google.cloud.storage.exceptions import DataCorruption

from audiostore import gcs_client
from audiostore.attempts import PATIENCE, Patience
from audiostore.errors import (
    AlreadyExistsError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    StoreError,
    TransientStoreError,
)


def answer(status):
    response = requests.Response()
    response.status_code = status
    return response


@pytest.mark.parametrize(
    ("error", "becomes", "retryable"),
    [
        (api.PreconditionFailed("x"), AlreadyExistsError, False),
        (api.NotFound("x"), NotFoundError, False),
        (api.Unauthorized("x"), StoreConfigurationError, False),
        (api.Forbidden("x"), StoreConfigurationError, False),
        (api.TooManyRequests("x"), TransientStoreError, True),
        (api.ServiceUnavailable("x"), TransientStoreError, True),
        (api.BadRequest("x"), StoreError, False),
        (api.RetryError("x", OSError()), TransientStoreError, True),
        (DataCorruption(answer(200), "x"), ChecksumError, True),
        (gcs_client.InvalidResponse(answer(503), "x"), TransientStoreError, True),
        (gcs_client.InvalidResponse(answer(418), "x"), StoreError, False),
        (RefreshError("x", retryable=True), TransientStoreError, True),
        (RefreshError("invalid_grant: Invalid JWT Signature."), StoreConfigurationError, False),
        (RefreshError({"error": "odd"}), StoreConfigurationError, False),
        (TransportError("x"), TransientStoreError, True),
        (MalformedError("x"), StoreConfigurationError, False),
        (requests.ConnectionError("x"), TransientStoreError, True),
        (urllib3.exceptions.ProtocolError("x"), TransientStoreError, True),
        (ConnectionResetError("x"), TransientStoreError, True),
    ],
)
def test_every_error_of_the_library_is_translated_once(error, becomes, retryable):
    with pytest.raises(StoreError) as caught, gcs_client.translated("put a", missing="object"):
        raise error
    assert type(caught.value) is becomes
    assert caught.value.retryable is retryable
    assert caught.value.__cause__ is error
    assert str(caught.value).startswith("put a: ")


def test_a_metadata_server_that_is_away_is_no_refusal():
    """The library wraps that without saying whether trying again helps."""
    refresh = RefreshError(TransportError("no answer"))
    with pytest.raises(TransientStoreError), gcs_client.translated("put a", missing="object"):
        raise refresh from TransportError("no answer")


def test_of_a_refusal_only_the_code_is_told():
    error = RefreshError(
        "invalid_grant: something of the account", {"error": "invalid_grant", "token": "secret"}
    )
    with pytest.raises(StoreConfigurationError) as caught, gcs_client.translated("put a", missing="object"):
        raise error
    assert "(RefreshError, invalid_grant)" in str(caught.value)
    assert "account its rights" in str(caught.value)
    assert "something" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_404_of_a_put_means_the_bucket():
    with pytest.raises(StoreConfigurationError), gcs_client.translated("put a", missing="bucket"):
        raise api.NotFound("x")


def test_attempts_know_whether_one_may_have_gone_through():
    attempts = gcs_client.Attempts(PATIENCE)
    results = iter([api.ServiceUnavailable("later"), "done"])

    def call():
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    assert not attempts.repeated
    assert attempts(call)() == "done"
    assert attempts.repeated


@pytest.mark.parametrize(
    ("error", "slow"),
    [
        (api.ServiceUnavailable("later"), False),
        (requests.ConnectionError("refused"), False),
        (requests.ConnectTimeout("no connection"), False),
        (requests.ReadTimeout("silence"), True),
        (
            requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "", "silence in the body")),
            True,
        ),
    ],
)
def test_what_is_away_is_given_up_before_what_is_slow(error, slow):
    attempts = gcs_client.Attempts(
        Patience(first_pause_s=0.001, longest_pause_s=0.001, begin_for_s=60.0, away_for_s=-1.0)
    )
    results = iter([error, "done"])

    def call():
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    if slow:
        assert attempts(call)() == "done"
    else:
        with pytest.raises(type(error)):
            attempts(call)()
    assert attempts.repeated


def test_what_cannot_help_is_not_tried_again():
    attempts = gcs_client.Attempts(PATIENCE)

    def call():
        raise api.PreconditionFailed("taken")

    with pytest.raises(api.PreconditionFailed):
        attempts(call)()
    assert not attempts.repeated


@pytest.mark.parametrize("host", ["http://127.0.0.1:9", "127.0.0.1:9", "http://127.0.0.1:9/"])
def test_the_emulator_is_honoured_without_credentials(monkeypatch, host):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    client = gcs_client.connect()
    assert client.api_endpoint == "http://127.0.0.1:9"
    assert isinstance(client._credentials, AnonymousCredentials)
    adapter = client._http.get_adapter("http://127.0.0.1:9")
    assert adapter._pool_maxsize == gcs_client.CONNECTIONS
    assert adapter._pool_block
    assert client._http.get_adapter("https://storage.googleapis.com") is adapter
    client.close()


def test_no_credentials_are_the_operators(monkeypatch, tmp_path):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(StoreConfigurationError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        gcs_client.connect()


def test_all_tries_fit_into_the_deadline():
    assert (
        PATIENCE.begin_for_s + gcs_client.CONNECT_TIMEOUT_S + gcs_client.READ_TIMEOUT_S <= PATIENCE.deadline_s
    )


def test_the_environment_is_looked_at_once(monkeypatch):
    """requests would look through all of it with each request."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "https://bucket.example")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/a/bundle.pem")
    session = gcs_client.connect()._http
    assert not session.trust_env
    assert session.proxies["https"] == "http://proxy.example:3128"
    assert session.verify == "/a/bundle.pem"
    monkeypatch.setenv("NO_PROXY", "bucket.example")
    assert not gcs_client.connect()._http.proxies
