"""A client of the storage API for threads: everything that its table of requests has, one method each.

    with StorageClient("https://tapedeck.example.com", token="…") as client:
        for conversation in client.conversations("anna"):
            client.download_audio("anna", conversation.conversation_id, "it.wav", AudioRequest("wav"))

Owns its httpx client where none is given. What the methods take, give and raise stands in `storage.reading`, `storage.changing` and
`storage.administering`, whose functions they are.
"""

from types import TracebackType
from typing import Self

import httpx

from tapedeck.listen_options import Token
from tapedeck.storage import administering, changing, reading
from tapedeck.storage.blocking import Driver, answers, lists, streams
from tapedeck.storage.caller import Caller
from tapedeck.storage.http import TIMEOUT, client_options, full_user_agent
from tapedeck.storage.retries import Retries


class StorageClient:
    """A client of one storage API with one token. Use it as a context manager, or close it. Threads may share it."""

    conversations = lists(reading.conversations)
    conversation = answers(reading.conversation)
    chunks = lists(reading.chunks)
    gaps = lists(reading.gaps)
    recordings = answers(reading.recordings)
    audio = answers(reading.audio)
    audio_facts = answers(reading.audio_facts)
    download_audio = answers(reading.download_audio)
    stream_audio = streams(reading.stream_audio)
    waveform = answers(reading.waveform)
    flush = answers(changing.flush)
    delete_conversation = answers(changing.delete_conversation)
    delete_chunks = answers(changing.delete_chunks)
    delete_stretch = answers(changing.delete_stretch)
    delete_user_audio = answers(changing.delete_user_audio)
    merge = answers(changing.merge)
    operation = answers(changing.operation)
    wait = answers(changing.wait)
    settings = answers(administering.settings)
    put_settings = answers(administering.put_settings)
    usage = answers(administering.usage)
    buffers = lists(administering.buffers)
    flush_buffers = answers(administering.flush_buffers)
    dead_letters = lists(administering.dead_letters)
    retry_dead_letter = answers(administering.retry_dead_letter)

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        http: httpx.Client | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        user_agent: str | None = None,
        retries: Retries | None = None,
    ) -> None:
        """Nothing is connected yet. Raises ClientSetupError for an address or a token that can't be used.

        `token`: the token, or a function that returns the newest one, asked before every request. `http`: a client of yours, with its own
        timeouts, which stays open; None: one of its own, with `timeout` (seconds for each wait, not for the whole).
        `user_agent`: your service's name, put before ours.
        """
        caller = Caller(base_url, token, retries if retries is not None else Retries())
        self._owned = http is None
        client = http if http is not None else httpx.Client(**client_options(base_url, timeout))
        self.driver = Driver(client, caller, full_user_agent(user_agent))

    def __repr__(self) -> str:
        """Without the token."""
        return f"{type(self).__name__}({self.driver.caller.base_url!r})"

    def __enter__(self) -> Self:
        """Nothing is connected yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections, where they are its own."""
        if self._owned:
            self.driver.http.close()
