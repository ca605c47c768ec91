"""`format` and `Accept`."""

import pytest
from starlette.datastructures import QueryParams

from servicekit.problem import ProblemError
from storage_api.audio_format import wanted_format
from storage_api.parameters import Parameters


def asked(query: str, accept: str | None):
    return wanted_format(Parameters(QueryParams(query), ("format",)), accept)


@pytest.mark.parametrize(
    ("query", "accept", "wanted"),
    [
        ("", None, "ogg"),
        ("", "*/*", "ogg"),
        ("", "", "ogg"),
        ("", "audio/*", "ogg"),
        ("", "audio/x-wav", "wav"),
        ("", "text/html,application/xhtml+xml,*/*;q=0.8", "ogg"),
        ("", "audio/ogg;q=0.5, audio/wav", "wav"),
        ("", "audio/ogg;q=0, audio/wav;q=0.1", "wav"),
        ("", "audio/ogg;q=x, application/octet-stream;q=0.2", "pcm"),
        # The nearest range counts, wherever it stands.
        ("", "audio/ogg;q=0, */*", "wav"),
        ("", "*/*, audio/ogg;q=0", "wav"),
        ("", "audio/*;q=0, */*;q=0.1", "pcm"),
        ("", "audio/wav, */*", "wav"),
        ("", "*/*, audio/wav", "ogg"),
        ("", "audio/wave;q=0.3, audio/opus;q=0.4", "ogg"),
        ("", "audio/ogg;q=nan, audio/wav;q=0.001", "wav"),
        ("", "audio/ogg;q=1e9, audio/wav", "wav"),
        ("format=pcm", "audio/ogg", "pcm"),
        ("format=wav", "text/plain", "wav"),
    ],
)
def test_the_query_rules_then_accept_then_ogg(query, accept, wanted):
    assert asked(query, accept) == wanted


def test_what_cannot_be_given_is_refused():
    with pytest.raises(ProblemError) as caught:
        asked("", "text/plain, image/*")
    assert caught.value.status == 406
    with pytest.raises(ProblemError) as caught:
        asked("", "audio/*;q=0, application/octet-stream;q=0")
    assert caught.value.status == 406
    with pytest.raises(ProblemError) as caught:
        asked("format=flac", None)
    assert caught.value.status == 400
