"""Every request of the storage API's table has a method, and no method asks for anything else."""

from storage_api.routes import TABLE
from tapedeck import AudioRequest
from tapedeck.storage import administering, changing, reading
from tapedeck.storage.audio import Wanted
from tapedeck.storage.calls import call
from tapedeck.storage.paging import Listed
from tapedeck.storage_types import Operation

UID, CID, ID = "the-user", "the-conversation", "the-id"
MADE = [
    reading.conversations(UID),
    reading.conversation(UID, CID),
    reading.chunks(UID, CID),
    reading.gaps(UID, CID),
    reading.recordings(UID, CID),
    reading.waveform(UID, CID),
    changing.flush(UID, CID),
    changing.delete_conversation(UID, CID),
    changing.delete_chunks(UID, CID, [1]),
    changing.delete_stretch(UID, CID, start=1),
    changing.delete_user_audio(UID),
    changing.merge(UID, ["a"], "b"),
    changing.operation(ID),
    administering.settings(UID),
    administering.put_settings(UID),
    administering.usage(UID),
    administering.buffers(),
    administering.flush_buffers(),
    administering.dead_letters(),
    administering.retry_dead_letter(ID),
]


def row(request):
    path = request.path.replace(UID, "{uid}").replace(CID, "{cid}").replace(ID, "{id}")
    return request.method, path


def requests():
    for made in MADE:
        yield (made.page(None) if isinstance(made, Listed) else made).request
    for method in ("GET", "HEAD"):
        yield Wanted(UID, CID, AudioRequest()).request(method)


def test_every_row_has_a_method():
    assert {row(request) for request in requests()} == {
        (one.method, one.path) for one in TABLE if one.path.startswith("/v1/")
    }


def test_each_parameter_is_one_of_its_row():
    known = {(one.method, one.path): {parameter.name for parameter in one.parameters} for one in TABLE}
    audio = AudioRequest("wav", 1, 2, False, (3,), 8000, 1, True)
    asked = {(name, value) for name, value in audio.query()}
    assert {name for name, _ in asked} <= known[row(Wanted(UID, CID, audio).request("GET"))]
    for request in requests():
        assert {name for name, _ in request.query} <= known[row(request)]


def test_what_is_none_is_not_in_the_query():
    made = call(Operation, "GET", "/x", {"a": None, "b": "", "c": "1"})
    assert made.request.query == (("b", ""), ("c", "1"))
