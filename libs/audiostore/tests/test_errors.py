import pytest

from audiostore import errors


def test_one_tree():
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(value, errors.AudiostoreError) for value in classes)
    assert not issubclass(errors.BatchFormatError, errors.StoreError)
    drawn = errors.__doc__
    assert all(value.__name__ in drawn for value in classes)


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (errors.StoreError("x"), False),
        (errors.StoreError("x", retryable=True), True),
        (errors.TransientStoreError("x"), True),
        (errors.ChecksumError("x"), True),
        (errors.AlreadyExistsError("x"), False),
        (errors.StoreConfigurationError("x"), False),
        (errors.BatchFormatError("x"), False),
    ],
)
def test_an_error_knows_whether_trying_again_can_help(error, retryable):
    assert error.retryable is retryable
    assert str(error) == "x"
