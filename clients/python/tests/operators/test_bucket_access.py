"""A bucket that takes connections and never answers."""

import socket

import pytest

from audiostore.attempts import Patience
from tapedeck.operators import bucket_access


@pytest.fixture
def silent(monkeypatch):
    """The settings of a store whose server says nothing; patience shorter than an operator's."""
    monkeypatch.setattr(bucket_access, "PATIENCE", Patience(begin_for_s=0.1, deadline_s=0.5))
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "TAPEDECK_STORE_URL": "s3://bucket",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "x",
        }


def test_an_operator_waits_for_no_more_than_one_answer(command, record, silent):
    recorded = record("talk", 1)
    found = command("where", recorded.tag, "--json", **silent)
    assert found.code == 1
    assert "the first bucket cannot be read" in found.json["problems"][0]
    found = command("doctor", "--no-books", "--json", **silent)
    assert [one["level"] for one in found.json["findings"] if one["check"] == "bucket"] == ["wrong"]


def test_the_patience_is_shorter_than_a_services():
    assert bucket_access.PATIENCE.deadline_s < Patience().begin_for_s
