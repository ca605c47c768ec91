import pytest
from obstore import exceptions

from audiostore.errors import (
    AlreadyExistsError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    StoreError,
    TransientStoreError,
)
from audiostore.obstore_errors import beyond_the_end, store_error, translated

SECRET = "AQoDYXdzEJr-session-token"  # of no account


def answered(status, code="", kind=exceptions.GenericError):
    body = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>" if code else ""
    return kind(
        f"Generic S3 error: Error performing PUT http://host/b/a?sig={SECRET} in 1ms - "
        f"Server returned non-2xx status code: {status} Something: {body}"
    )


@pytest.mark.parametrize(
    ("error", "meaning", "retryable"),
    [
        (answered(412, "PreconditionFailed", exceptions.AlreadyExistsError), AlreadyExistsError, False),
        (answered(409, "BlobAlreadyExists", exceptions.AlreadyExistsError), AlreadyExistsError, False),
        (
            answered(409, "ConditionalRequestConflict", exceptions.AlreadyExistsError),
            TransientStoreError,
            True,
        ),
        (answered(404, "NoSuchKey", FileNotFoundError), NotFoundError, False),
        (answered(404, "", FileNotFoundError), NotFoundError, False),
        (answered(404, "NoSuchBucket", FileNotFoundError), StoreConfigurationError, False),
        (answered(404, "ContainerNotFound"), StoreConfigurationError, False),
        (answered(404, "XAdminUserNotFound", FileNotFoundError), StoreConfigurationError, False),
        (
            answered(403, "SignatureDoesNotMatch", exceptions.PermissionDeniedError),
            StoreConfigurationError,
            False,
        ),
        (
            answered(401, "InvalidAuthenticationInfo", exceptions.UnauthenticatedError),
            StoreConfigurationError,
            False,
        ),
        (answered(400, "XAmzContentSHA256Mismatch"), ChecksumError, True),
        (answered(400, "ExpiredToken"), TransientStoreError, True),
        (answered(400, "MetadataTooLarge"), StoreConfigurationError, False),
        (answered(301, "PermanentRedirect"), StoreConfigurationError, False),
        (answered(429), TransientStoreError, True),
        (answered(500, "InternalError"), TransientStoreError, True),
        (answered(503, "SlowDown"), TransientStoreError, True),
        (answered(418), StoreError, False),
        (
            exceptions.GenericError("Server returned error response: <Error><Code>SlowDown</Code></Error>"),
            TransientStoreError,
            True,
        ),
        (
            exceptions.GenericError(
                "Error performing PUT http://h/ in 1ms - HTTP error: error sending request kind: Connect"
            ),
            TransientStoreError,
            True,
        ),
        (
            exceptions.GenericError(
                "Received redirect without LOCATION, this normally indicates a wrong region"
            ),
            StoreConfigurationError,
            False,
        ),
        (
            exceptions.GenericError(
                "HTTP error: error sending request: invalid peer certificate: UnknownIssuer"
            ),
            StoreConfigurationError,
            False,
        ),
        (
            exceptions.GenericError(
                "Error performing PUT http://169.254.169.254/latest/api/token - HTTP error"
            ),
            TransientStoreError,
            True,
        ),
        (exceptions.GenericError("something else"), StoreError, False),
        (FileNotFoundError("Bulk delete request failed for key a (code: 404)"), NotFoundError, False),
    ],
)
def test_every_answer_has_one_meaning(error, meaning, retryable):
    told = store_error(error, "put s3://b/a", "object", "the key needs rights")
    assert type(told) is meaning
    assert told.retryable is retryable
    assert str(told).startswith("put s3://b/a: ")
    assert SECRET not in str(told)


@pytest.mark.parametrize(
    ("met", "slow"),
    [
        ("HttpError { kind: Connect, source: Error(Connect, ConnectError('dns error', Custom { kind: Uncategorized", False),
        ("HttpError { kind: Timeout, source: Error(Connect, ConnectError('tcp connect error', Custom { kind: TimedOut", False),
        ("HttpError { kind: Timeout, source: reqwest::Error { kind: Request, source: TimedOut", True),
        ("HttpError { kind: Timeout, source: reqwest::Error { kind: Body, source: TimedOut", True),
    ],
)  # fmt: skip
def test_a_store_that_took_the_connection_is_slow_and_not_away(met, slow):
    """The texts of obstore 0.12 for a server that resolves to nothing, drops what comes, says nothing, and stops in mid-body."""
    told = store_error(exceptions.GenericError(f"HTTP error: error {met}"), "get s3://b/a", "object", "")
    assert isinstance(told, TransientStoreError)
    assert told.slow is slow


def test_a_missing_bucket_is_told_where_nothing_else_can_be_missing():
    for error in (answered(404, "", FileNotFoundError), FileNotFoundError("gone")):
        told = store_error(error, "list s3://b/", "bucket", "")
        assert isinstance(told, StoreConfigurationError)
        assert "no such bucket" in str(told)


def test_nothing_of_the_librarys_text_is_carried_along():
    with (
        pytest.raises(StoreConfigurationError) as caught,
        translated("put s3://b/a", missing="bucket", refused="the key needs rights"),
    ):
        raise answered(403, "AccessDenied", exceptions.PermissionDeniedError)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert str(caught.value) == "put s3://b/a: the store answered 403 AccessDenied; the key needs rights"


def test_ranges_behind_the_end_are_known():
    assert beyond_the_end(answered(416, "InvalidRange"))
    assert beyond_the_end(
        exceptions.GenericError("Wanted range starting at 10, but object was only 10 bytes long")
    )
    assert not beyond_the_end(answered(404, "NoSuchKey", FileNotFoundError))
