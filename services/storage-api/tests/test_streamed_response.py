"""An answer that carries audio, and the ways in which it ends."""

import asyncio
import subprocess
from itertools import pairwise

import h2.connection
import h2.events
import httpx
import msgspec
import pytest
import pytest_asyncio
from hypercorn.protocol.http_stream import HTTPStream

from audiostore.errors import TransientStoreError


class Slow:
    """A store whose objects beyond the first few come only when they are let, or never."""

    def __init__(self, store, free: int) -> None:
        self._store = store
        self.gets = 0
        self.free = free
        self.gate = asyncio.Event()
        self.fails = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def get(self, name):
        self.gets += 1
        if self.gets > self.free:
            await self.gate.wait()
            if self.fails:
                raise TransientStoreError(f"get {name}: the store is away")
        return await self._store.get(name)


@pytest_asyncio.fixture
async def slow_api(serve, one_bus, store, tmp_path, monkeypatch):
    """The service over a slow store, whose failures are not tried again."""
    monkeypatch.setattr("storage_api.patience.READ_TRIES", 1)
    monkeypatch.setattr("storage_api.patience.BEGUN_FOR_S", 0.0)
    slow = Slow(store, free=0)
    async with serve(one_bus, slow, tmp_path) as api:
        yield api, slow


@pytest.fixture
def small_steps(monkeypatch):
    """Nothing is looked at before the first byte, so that what happens later happens in the middle."""
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", 0)


async def recorded_in_batches(tape, pcm: bytes, batches: int) -> None:
    await tape.record(pcm)
    count = len(tape.chunks)
    bounds = [count * number // batches for number in range(batches + 1)]
    for first, last in pairwise(bounds):
        await tape.drain(first, last)


@pytest.mark.parametrize("kind", ["wav", "ogg"])
async def test_a_failure_in_mid_stream_breaks_the_answer_visibly(
    slow_api, tape, conversation, pcm_tone, small_steps, kind
):
    api, slow = slow_api
    await recorded_in_batches(tape, pcm_tone(60), 6)
    slow.free, slow.fails = 3, True
    slow.gate.set()
    with pytest.raises(httpx.RemoteProtocolError):
        await api.get(conversation, "/audio", format=kind)
    assert api.services.downloads.running == 0
    slow.free = 1000
    assert (await api.get(conversation, "/audio", format=kind)).status_code == 200


@pytest.mark.parametrize("kind", ["wav", "ogg"])
async def test_an_answer_that_has_begun_goes_on_once_the_bucket_is_back(
    slow_api, tape, conversation, pcm_tone, small_steps, files_without_metadata, monkeypatch, until, kind
):
    api, slow = slow_api
    await recorded_in_batches(tape, pcm_tone(60), 6)
    slow.free = 1000
    whole = await api.get(conversation, "/audio", format=kind)
    monkeypatch.setattr("storage_api.patience.BEGUN_FOR_S", 30.0)
    monkeypatch.setattr("storage_api.patience.LONGEST_PAUSE_S", 0.02)
    slow.gets, slow.fails = 0, True
    slow.free = 9 if kind == "ogg" else 3  # its length is known only once all were opened
    headers = {"Authorization": "Bearer all-token"}
    path = api.path(conversation, f"/audio?format={kind}")
    async with api.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        slow.gate.set()
        await until(lambda: slow.gets > 20)
        slow.free = 1_000_000
        assert await answer.aread() == whole.content


@pytest.mark.parametrize("kind", ["wav", "pcm", "ogg"])
@pytest.mark.parametrize("moved", [False, True])
async def test_audio_that_goes_away_or_moves_in_mid_answer_breaks_it(
    slow_api, tape, conversation, pcm_tone, small_steps, files_without_metadata, kind, moved
):
    """Silence in its place, or the same audio out of other objects, would be other bytes under one strong tag."""
    api, slow = slow_api
    await recorded_in_batches(tape, pcm_tone(60), 6)
    count = len(tape.chunks)
    slow.free = 9 if kind == "ogg" else 3  # its length is known only once all were opened
    headers = {"Authorization": "Bearer all-token"}
    path = api.path(conversation, f"/audio?format={kind}")
    async with api.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        names = [info.name async for info in tape.store.list("chunks/")]
        if moved:
            await tape.put(count * 4 // 6, count - 7)
            await tape.put(count - 7, count)
        for name in names[4:]:
            await tape.store.delete(name)
        slow.gate.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await answer.aread()
    again = await api.get(conversation, "/audio", format=kind)
    assert again.status_code == 200
    assert again.headers["etag"] != answer.headers["etag"]
    assert api.services.downloads.running == 0


@pytest.mark.parametrize("kind", ["wav", "ogg"])
async def test_over_http_2_a_failure_in_mid_stream_resets_the_stream(
    slow_api, tape, conversation, pcm_tone, small_steps, kind
):
    api, slow = slow_api
    await recorded_in_batches(tape, pcm_tone(60), 6)
    slow.free, slow.fails = 3, True
    slow.gate.set()
    headers = {"Authorization": "Bearer all-token"}
    path = api.path(conversation, f"/audio?format={kind}")
    client = {"base_url": api.http.base_url, "http1": False, "http2": True, "timeout": 10}
    async with httpx.AsyncClient(**client) as http:
        with pytest.raises(httpx.RemoteProtocolError, match="StreamReset"):
            await http.get(path, headers=headers)
        # The connection and its other streams live on.
        slow.free = 1000
        answer = await http.get(path, headers=headers)
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
    assert api.services.downloads.running == 0


async def test_over_http_2_a_client_that_resets_the_stream_stops_the_work(
    slow_api, tape, conversation, pcm_tone, small_steps, until
):
    api, slow = slow_api
    await recorded_in_batches(tape, pcm_tone(120), 12)
    slow.free = 4
    url = api.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    client = h2.connection.H2Connection()
    client.initiate_connection()
    asked = {
        ":method": "GET",
        ":scheme": "http",
        ":authority": url.host,
        ":path": api.path(conversation, "/audio?format=wav"),
        "authorization": "Bearer all-token",
    }
    client.send_headers(1, list(asked.items()), end_stream=True)
    writer.write(client.data_to_send())
    events: list[h2.events.Event] = []
    while not any(isinstance(event, h2.events.DataReceived) for event in events):
        events += client.receive_data(await reader.read(65_536))
    assert api.services.downloads.running == 1
    client.reset_stream(1)
    writer.write(client.data_to_send())
    await until(lambda: api.services.downloads.running == 0)
    assert slow.gets < 12
    writer.close()


async def test_a_failure_before_the_first_byte_is_an_answer(slow_api, tape, conversation, pcm_tone):
    api, slow = slow_api
    await recorded_in_batches(tape, pcm_tone(10), 2)
    slow.fails = True
    slow.gate.set()
    answer = await api.get(conversation, "/audio")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert conversation.uid not in answer.text


async def test_a_client_that_goes_away_stops_the_work(
    slow_api, tape, conversation, pcm_tone, small_steps, until
):
    api, slow = slow_api
    await recorded_in_batches(tape, pcm_tone(120), 12)
    slow.free = 4
    headers = {"Authorization": "Bearer all-token"}
    path = api.path(conversation, "/audio?format=wav")
    async with api.http.stream("GET", path, headers=headers) as answer:
        await anext(answer.aiter_bytes())
        assert api.services.downloads.running == 1
    await until(lambda: api.services.downloads.running == 0)
    assert slow.gets < 12
    slow.gate.set()
    assert len(await api.pcm(conversation)) == 120 * 16_000
    assert not [
        task for task in asyncio.all_tasks() if task.get_name() in ("passage", "answer", "client watch")
    ]


async def test_more_downloads_than_the_limit_are_asked_to_come_back(
    slow_api, tape, conversation, pcm_tone, small_steps, until
):
    api, slow = slow_api
    await recorded_in_batches(tape, pcm_tone(20), 2)
    limits = httpx.Limits(max_connections=40)
    async with httpx.AsyncClient(base_url=api.http.base_url, limits=limits, timeout=30) as many:
        path = api.path(conversation, "/audio?format=pcm")
        running = []

        async def ask(token: str, times: int) -> None:
            headers = {"Authorization": f"Bearer {token}"}
            running.extend(asyncio.create_task(many.get(path, headers=headers)) for _ in range(times))
            await until(lambda: api.services.downloads.running == len(running))

        async def refused(token: str, rest: str) -> str:
            answer = await api.get(conversation, rest, token=token)
            assert (answer.status_code, answer.json()["code"]) == (503, "busy")
            assert answer.headers["retry-after"] == "1"
            return answer.json()["detail"]

        of_user = api.token(conversation.uid)
        await ask(of_user, 24)
        for rest in ("/audio", "/waveform"):
            assert await refused(of_user, rest) == "24 downloads of yours are under way; try again"
        await ask("all-token", 8)
        for rest in ("/audio", "/waveform"):
            assert await refused("read-token", rest) == "32 downloads are under way; try again"
        assert (await api.get(conversation)).status_code == 200
        slow.gate.set()
        answers = await asyncio.gather(*running)
    assert {len(answer.content) for answer in answers} == {640_000}
    await until(lambda: api.services.downloads.running == 0)


async def an_hour_of_little(tape, encode, pcm_tone) -> None:
    """Two seconds, an hour apart: 115 MB of wav."""
    await tape.open()
    await tape.append(encode(pcm_tone(1)))
    later = encode(pcm_tone(1), run_start_ms=1_700_003_600_000)
    await tape.append(
        [
            (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + 32_000), end + 32_000)
            for chunk, end in later
        ]
    )


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("storage_api.stalled_clients.STALLED_S", 0.3)


async def test_a_client_that_reads_no_more_loses_its_place(
    api, tape, conversation, encode, pcm_tone, impatient, until
):
    await an_hour_of_little(tape, encode, pcm_tone)
    url = api.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    asked = f"GET {api.path(conversation, '/audio?format=wav')} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer all-token\r\n\r\n"
    writer.write(asked.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.transport.pause_reading()
    assert api.services.downloads.running == 1
    await until(lambda: api.services.downloads.running == 0)
    writer.close()


async def test_over_http_2_the_others_of_a_stalled_streams_connection_live_on(
    api, tape, conversation, encode, pcm_tone, impatient, until
):
    await an_hour_of_little(tape, encode, pcm_tone)
    headers = {"Authorization": "Bearer all-token"}
    client = {"base_url": api.http.base_url, "http1": False, "http2": True, "timeout": 10}
    async with httpx.AsyncClient(**client) as http:
        path = api.path(conversation, "/audio?format=wav")
        async with http.stream("GET", path, headers=headers) as answer:
            blocks = answer.aiter_raw()
            await anext(blocks)
            assert api.services.downloads.running == 1
            await until(lambda: api.services.downloads.running == 0)
            assert (await http.get(api.path(conversation), headers=headers)).status_code == 200
            with pytest.raises(httpx.RemoteProtocolError, match="StreamReset"):
                async for _ in blocks:
                    pass


async def test_no_more_than_64_kib_are_handed_on_at_once(api, tape, conversation, pcm_tone, monkeypatch):
    sizes = []
    sends = HTTPStream.app_send

    async def noted(self, message):
        sizes.append(len((message or {}).get("body", b"")))
        await sends(self, message)

    monkeypatch.setattr(HTTPStream, "app_send", noted)
    await recorded_in_batches(tape, pcm_tone(20), 2)
    for rest, query in (
        ("/audio", {"format": "wav"}),
        ("/audio", {}),
        ("/waveform", {"samples_per_pixel": 256}),
    ):
        sizes.clear()
        answer = await api.get(conversation, rest, **query)
        assert sum(sizes) == len(answer.content) == int(answer.headers["content-length"])
        assert max(sizes) <= 65_536


@pytest.mark.parametrize("story", ["whole", "gap", "window", "tail"])
@pytest.mark.parametrize("tool", ["ffmpeg", "opusinfo", "opusdec"])
async def test_players_take_the_ogg_without_a_warning(
    api, tape, conversation, encode, speech, tmp_path, story, tool, program
):
    binary = program(tool)
    await tape.open()
    await tape.append(encode(speech[: 10 * 32_000]))
    query = {}
    if story == "gap":
        later = encode(speech[: 5 * 32_000], run_start_ms=1_700_000_013_337)
        moved = [
            (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + 320_000), end + 320_000)
            for chunk, end in later
        ]
        await tape.append(moved)
    if story != "tail":
        await tape.drain(0, 5)
        await tape.drain(5, len(tape.chunks))
    if story == "window":
        query = {"start": 1_700_000_003.3337, "end": 1_700_000_007.1}
    answer = await api.get(conversation, "/audio", format="ogg", **query)
    path = tmp_path / "answer.opus"
    path.write_bytes(answer.content)
    commands = {
        "ffmpeg": [binary, "-v", "warning", "-xerror", "-i", str(path), "-f", "null", "-"],
        "opusinfo": [binary, str(path)],
        "opusdec": [binary, "--quiet", "--force-wav", str(path), str(tmp_path / "out.wav")],
    }
    done = await asyncio.to_thread(
        subprocess.run, commands[tool], capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "warning" not in said.lower(), said
    if tool != "opusinfo":
        assert not said.strip(), said
