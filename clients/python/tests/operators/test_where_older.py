"""`tapedeck where` over objects in the older formats, which say only in themselves how long they last."""

import pytest

from tapedeck_testing.golden_bucket import golden_objects, manifest

UID = manifest()["uid"]
SECRET = manifest()["secret"]
FIRST_MS = 1_700_000_000_000


@pytest.fixture
def where(command, tmp_path):
    """`tapedeck where` on a conversation of the golden bucket."""
    for one in golden_objects():
        path = tmp_path / "bucket" / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)

    def run(cid, *arguments, secret=SECRET):
        return command("where", f"{UID}/{cid}", *arguments, "--json", TAPEDECK_LEGACY_SECRET=secret)

    return run


def rows(answer):
    """State, start in seconds after the first, and length."""
    assert answer.code == 0
    return [
        (one["state"], (one["start_ms"] - FIRST_MS) / 1000, one["seconds"])
        for one in answer.json["stretches"]
    ]


WHOLE = [("stored", 0.0, 5.0), ("stored", 5.0, 5.0), ("stored", 10.0, 10.0), ("gap", 20.0, 2.0), ("stored", 22.0, 3.0)]  # fmt: skip


@pytest.mark.parametrize("secret", ["", SECRET])
def test_what_they_hold_says_how_long_they_last(where, secret):
    found = where("plain", secret=secret)
    assert rows(found) == WHOLE
    assert {one["why"] for one in found.json["stretches"] if one["state"] == "stored"} == {"an older format"}


def test_sealed_ones_likewise_where_the_secret_is_at_hand(where):
    assert rows(where("enhanced")) == WHOLE


def test_of_sealed_ones_without_the_secret_what_is_not_known_is_no_gap(where):
    found = where("enhanced", secret="")
    assert rows(found) == [WHOLE[0], ("stored", 5.0, 0.0), *WHOLE[2:]]
    unknown = found.json["stretches"][1]
    assert not unknown["length_known"]
    assert "without TAPEDECK_LEGACY_SECRET it is not known how long it lasts" in unknown["why"]
    at = where("enhanced", "--at", "1700000007", secret="").json["stretches"]
    assert [one["object"] for one in at] == [unknown["object"]]
    assert where("enhanced", "--at", "1700000021", secret="").json["stretches"][0]["state"] == "gap"


def test_one_that_cannot_be_read_says_why(where):
    found = where("mixed")
    broken, good, *others = found.json["stretches"]
    assert (broken["seconds"], broken["length_known"]) == (0.0, False)
    assert "cannot be read (Opus blob: " in broken["why"]
    assert (good["object"], good["seconds"]) == (f"chunks/{UID}/mixed/1700000000.000.bin", 5.0)
    assert all(one["seconds"] > 0 for one in others if one["length_known"])


def test_another_secret_says_so(where):
    found = where("enhanced", secret="another")
    assert "does not authenticate" in found.json["stretches"][0]["why"]
    # What the records say of their length they say to everybody.
    assert rows(found)[0] == WHOLE[0]
