"""The table of routes: every method of every path, once.

A new route is a row here and a module with its handler; a code that no other route has is a line in `problem_codes` first. Starlette's
routes, OpenAPI, the labels of metrics and the tests that try every route follow from it.
"""

from typing import Annotated, Final

from msgspec import Meta

from audiocodec.peaks import BLOCK_FRAMES
from storage_api import (
    audio_face,
    wire,
    wire_merging,
    wire_operations,
    wire_operators,
    wire_users,
    wire_waveforms,
)
from storage_api.audio import audio
from storage_api.buffers import flush_buffers, list_buffers
from storage_api.chunk_list import list_chunks
from storage_api.conversations import list_conversations, one_conversation
from storage_api.cutting.stretch_of_time import delete_stretch
from storage_api.cutting.timestamps import delete_chunks
from storage_api.dead_letters import list_dead_letters, retry_dead_letter
from storage_api.deletion.all_of_user import delete_user_audio
from storage_api.deletion.one_conversation import delete_conversation
from storage_api.docs_page import docs, docs_file, openapi_json
from storage_api.flush import flush
from storage_api.merging.many_into_one import merge_conversations
from storage_api.operations.one_operation import one_operation
from storage_api.parameters import MAX_SAMPLES_PER_PIXEL
from storage_api.query_parameters import (
    END,
    FROM_DAY,
    MAX_GAP_S,
    PAGE_SIZE,
    PAGE_TOKEN,
    START,
    TO_DAY,
)
from storage_api.recordings import list_recordings
from storage_api.row import Header, Media, Parameter, Row
from storage_api.services import MISSING_HEADER, START_HEADER
from storage_api.usage import usage
from storage_api.user_settings import get_settings, put_settings
from storage_api.waveforms.pixels import DEFAULT_SAMPLES_PER_PIXEL
from storage_api.waveforms.waveform import waveform

USER: Final = "/v1/users/{uid}"
CONVERSATIONS: Final = USER + "/conversations"
CONVERSATION: Final = CONVERSATIONS + "/{cid}"

_READING: Final = audio_face.READING
_CUTTING: Final = (*_READING, "deleting", "flush_timeout", "merging", "unreadable")


TABLE: Final = (
    Row(
        method="GET",
        path=CONVERSATIONS,
        name="conversations",
        handler=list_conversations,
        scope="audio:read",
        places="lists",
        summary="The user's conversations, newest first",
        description="A page opens 2,000 objects at the most that nobody asked for lately, and lays out 50,000. A conversation that has more than are "
        "left is told by the names of its objects, the others of the page exactly: see `recorded_seconds`.",
        parameters=(PAGE_SIZE, PAGE_TOKEN, Parameter("live", bool, "Only those that are live, or are not")),
        answers={200: wire.Conversations},
        headers={200: audio_face.LIVE},
        codes=("bad_page_token", *_READING),
    ),
    Row(
        method="GET",
        path=CONVERSATION,
        name="conversation",
        handler=one_conversation,
        scope="audio:read",
        places="lists",
        summary="One conversation",
        answers={200: wire.Conversation},
        headers={200: audio_face.LIVE},
        codes=_READING,
    ),
    Row(
        method="DELETE",
        path=CONVERSATION,
        name="conversation",
        handler=delete_conversation,
        scope="audio:write",
        places="deletions",
        summary="Delete the conversation, wherever it lies",
        description="It is gone from the moment of the answer, and nothing that was under way brings it back. After an error ask "
        "again: where the bucket was away it may not even have begun.",
        answers={200: wire_operations.Deleted},
        codes=("bad_parameter", *_READING, "merging"),
    ),
    Row(
        method="GET",
        path=CONVERSATION + "/chunks",
        name="chunks",
        handler=list_chunks,
        scope="audio:read",
        places="lists",
        summary="Every chunk in order of time, stored or waiting, and the gaps",
        parameters=(START, END, PAGE_SIZE, PAGE_TOKEN),
        answers={200: wire.Chunks},
        headers={200: audio_face.LIVE},
        codes=("bad_page_token", *_READING),
    ),
    Row(
        method="DELETE",
        path=CONVERSATION + "/chunks",
        name="chunks",
        handler=delete_chunks,
        scope="audio:write",
        places="deletions",
        summary="Delete the chunks or batches that start at these times, or hold them",
        description="Each as a whole. A second time there is nothing left to delete: 200 with zeros.",
        parameters=(
            Parameter("timestamps", str, "RFC 3339 or unix seconds, separated by commas", required=True),
        ),
        answers={200: wire_operations.Deleted},
        codes=_CUTTING,
    ),
    Row(
        method="GET",
        path=CONVERSATION + "/recordings",
        name="recordings",
        handler=list_recordings,
        scope="audio:read",
        places="lists",
        summary="The stretches that belong together",
        parameters=(MAX_GAP_S,),
        answers={200: wire.RecordedStretches},
        headers={200: audio_face.LIVE},
        codes=_READING,
    ),
    Row(
        method="GET",
        path=CONVERSATION + "/audio",
        name="audio",
        handler=audio,
        scope="audio:read",
        summary="The audio as one file, with what waits to be stored in it",
        parameters=(*audio_face.PARAMETERS, audio_face.RANGE, audio_face.IF_RANGE, *audio_face.CONDITIONS),
        answers={200: audio_face.MEDIA, 206: audio_face.MEDIA, 304: None},
        headers=audio_face.GET_HEADERS,
        codes=audio_face.GET_CODES,
    ),
    Row(
        method="HEAD",
        path=CONVERSATION + "/audio",
        name="audio",
        handler=audio,
        scope="audio:read",
        summary="The headers of the audio",
        parameters=(*audio_face.PARAMETERS, *audio_face.CONDITIONS),
        answers={200: None, 304: None},
        headers=audio_face.HEAD_HEADERS,
        codes=audio_face.HEAD_CODES,
    ),
    Row(
        method="DELETE",
        path=CONVERSATION + "/audio",
        name="audio",
        handler=delete_stretch,
        scope="audio:write",
        places="deletions",
        summary="Delete a stretch of time",
        description="It is cut out of the batches that hold it, and remains as a gap. Packets go as a whole, so up to 120 ms more at each end, "
        "never less. What waits of it is stored first. Without `start` it begins with the conversation, without `end` it goes up to what is recorded by "
        "now; empty, each is refused. After an error ask again: it goes on where it was.",
        parameters=(START, END),
        answers={200: wire_operations.Deleted},
        codes=_CUTTING,
    ),
    Row(
        method="GET",
        path=CONVERSATION + "/waveform",
        name="waveform",
        handler=waveform,
        scope="audio:read",
        summary="Peaks of the audio, as audiowaveform and peaks.js have them",
        parameters=(
            Parameter(
                "samples_per_pixel",
                Annotated[int, Meta(ge=BLOCK_FRAMES, le=MAX_SAMPLES_PER_PIXEL, multiple_of=BLOCK_FRAMES)],
                f"{DEFAULT_SAMPLES_PER_PIXEL} where it is not given",
            ),
            START,
            END,
        ),
        answers={200: wire_waveforms.Waveform},
        headers={
            200: {
                START_HEADER: Header("When the first pixel begins; rounded down to the millisecond"),
                MISSING_HEADER: Header(audio_face.HEADERS[MISSING_HEADER]),
                **audio_face.LIVE,
            },
            404: audio_face.NO_AUDIO,
        },
        codes=(*_READING, "busy", "no_audio", "too_long"),
    ),
    Row(
        method="POST",
        path=CONVERSATION + ":flush",
        name="flush",
        handler=flush,
        scope="audio:write",
        places="flushes",
        summary="Store what waits, now; answers when it is stored",
        answers={200: wire.Flushed},
        codes=(*_READING, "bad_request", "flush_timeout", "too_big", "too_slow"),
    ),
    Row(
        method="DELETE",
        path="/v1/users/{uid}/audio",
        name="user_audio",
        handler=delete_user_audio,
        scope="audio:write",
        places="deletions",
        summary="Delete everything that the user recorded up to now",
        description="Later sessions are not touched. The operation is done when no put that was under way can bring anything back: after ten "
        "minutes at the earliest, though nearly all is gone within seconds. A batch that holds audio from before and from after "
        "is kept as it is, and counted in `kept_objects`; so is one that cannot be read. Asked again while it is under way, and nothing was recorded "
        "since, the answer is the same operation; with new audio it is another one, of which one at a time may wait.",
        answers={202: wire_operations.Operation},
        headers={202: {"Location": Header("Where the operation is told of")}},
        codes=("bad_parameter", "live_unavailable", "too_many_operations"),
    ),
    Row(
        method="POST",
        path=CONVERSATIONS + ":merge",
        name="conversations_merge",
        handler=merge_conversations,
        scope="audio:write",
        summary="Make one conversation out of several",
        description="It sorts by time and plays each recorded byte once. Sources that go are frozen until it is done, and thawed if it fails; those "
        "that stay (`delete_sources: false`) go on, and what they record meanwhile is not copied. The same request while it is under way, or after it "
        "took the sources away, is answered with the same operation.",
        body=wire_merging.MergeConversations,
        answers={202: wire_operations.Operation},
        headers={202: {"Location": Header("Where the operation is told of")}},
        codes=("bad_id", "bad_json", "dead_letters", "merging", "too_many_operations", *_READING),
    ),
    Row(
        method="GET",
        path="/v1/operations/{id}",
        name="operation",
        handler=one_operation,
        scope="audio:read",
        or_scopes=("audio:write",),  # who may begin one may see what becomes of it
        summary="How far an operation is",
        answers={200: wire_operations.Operation},
        codes=("live_unavailable",),
    ),
    Row(
        method="GET",
        path=USER + "/settings",
        name="settings",
        handler=get_settings,
        scope="users:admin",
        summary="What is set for the user",
        answers={200: wire_users.UserSettings},
        codes=("live_unavailable",),
    ),
    Row(
        method="PUT",
        path=USER + "/settings",
        name="settings",
        handler=put_settings,
        scope="users:admin",
        summary="Change what is set for the user",
        description="What is not in the body stays. Users may not: the daily limit, and whether their audio is taken, are the operator's.",
        body=wire_users.UserSettingsChange,
        answers={200: wire_users.UserSettings},
        codes=("bad_json", "live_unavailable"),
    ),
    Row(
        method="GET",
        path=USER + "/usage",
        name="usage",
        handler=usage,
        scope="users:admin",
        places="lists",
        summary="How much audio the user sent, by UTC day, and the limit",
        parameters=(FROM_DAY, TO_DAY),
        answers={200: wire_users.Usage},
        codes=_READING,
    ),
    Row(
        method="GET",
        path="/v1/buffers",
        name="buffers",
        handler=list_buffers,
        scope="ops:admin",
        places="lists",
        summary="What waits in Redis to be stored, the oldest first",
        parameters=(PAGE_SIZE, PAGE_TOKEN),
        answers={200: wire_operators.Buffers},
        codes=("bad_page_token", "live_unavailable"),
    ),
    Row(
        method="POST",
        path="/v1/buffers:flush",
        name="buffers_flush",
        handler=flush_buffers,
        scope="ops:admin",
        places="flushes",
        summary="Ask for what waits to be stored now, of one conversation or of all",
        description="Answers when it is asked for, not when it is stored. `user_id` and `conversation_id` belong together; `{}`, or no body, is all.",
        body=wire_operators.FlushBuffers,
        body_required=False,
        answers={202: wire_operators.FlushAsked},
        codes=("bad_id", "bad_json", *_READING),
    ),
    Row(
        method="GET",
        path="/v1/dead-letters",
        name="dead_letters",
        handler=list_dead_letters,
        scope="ops:admin",
        places="lists",
        summary="What could not be stored, with the reasons",
        parameters=(PAGE_SIZE, PAGE_TOKEN),
        answers={200: wire_operators.DeadLetters},
        codes=("bad_page_token", "live_unavailable"),
    ),
    Row(
        method="POST",
        path="/v1/dead-letters/{id}:retry",
        name="dead_letter_retry",
        handler=retry_dead_letter,
        scope="ops:admin",
        summary="Ask for another try at storing a dead letter",
        description="Answers when it is asked for. Once it is stored the list has it no more; where it fails, `last_try` there says why.",
        answers={202: wire_operators.RetryAsked},
        codes=("live_unavailable", "not_retryable"),
    ),
    Row(
        method="GET",
        path="/openapi.json",
        name="openapi",
        handler=openapi_json,
        scope=None,
        summary="This API as OpenAPI 3.1",
        answers={200: Media(("application/json",))},
    ),
    Row(
        method="GET",
        path="/docs",
        name="docs",
        handler=docs,
        scope=None,
        summary="The same for people",
        answers={200: Media(("text/html",))},
    ),
    Row(
        method="GET",
        path="/docs/{file}",
        name="docs_file",
        handler=docs_file,
        scope=None,
        summary="What that page needs",
        answers={200: Media(("text/css", "text/javascript", "image/png"))},
        codes=("not_found",),
    ),
)
