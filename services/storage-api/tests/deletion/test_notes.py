"""What the operation writes down of itself."""

import msgspec

from audiobus import EntryId
from storage_api.deletion.notes import LEFT, Request, Step


def test_the_first_pass_goes_over_everything_and_the_next_over_what_was_left():
    step = Step()
    step.begin(5)
    assert (step.full, step.began_ms, step.clean) == (True, 5, True)
    for _ in range(2):
        step.leave("conv-1")
    step.kept, step.letters, step.waiting, step.failed = 1, 2, 3, 4
    step.begin(6)
    assert (step.full, step.looking, step.left, step.clean) == (False, ["conv-1"], [], True)
    # What is not looked at again is still so.
    assert (step.kept, step.letters, step.waiting, step.failed) == (1, 2, 0, 0)
    step.begin(7)
    assert (step.full, step.looking, step.kept, step.letters) == (True, [], 0, 0)


def test_where_more_are_left_than_are_remembered_everything_is_looked_at_again():
    step = Step()
    step.begin(5)
    for number in range(LEFT + 9):
        step.leave(f"conv-{number}")
    assert len(step.left) == LEFT + 1
    step.begin(6)
    assert (step.full, step.looking) == (True, [])


def test_what_an_earlier_build_wrote_is_read():
    written = b'{"after":"conv-1","began_ms":5,"changed_ms":4,"clean":false,"waiting":1,"kept":2,"objects":3,"samples":4}'
    step = msgspec.json.decode(written, type=Step)
    assert (step.after, step.full, step.left, step.kept, step.objects) == ("conv-1", True, [], 2, 3)


def test_what_is_no_id_is_left_out():
    request = Request(before_ms=1, newest={"conv-1": "5-7", "conv-2": ""})
    assert request.newest_ids() == {"conv-1": EntryId(5, 7)}
