"""`GET …/{cid}/audio` in Chromium's `<audio>`: it plays, seeks, and ends where it should."""

import asyncio
import json
import shutil
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from servicekit.ids import uid_from_claim

SECONDS = 120
STEP_S = 10
"""So long each tone lasts: what is heard tells which time is played."""
GAP = (60, 70)
"""Nothing was recorded then, and nothing is heard."""

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)

PLAYER = """
(async () => {
  const audio = globalThis.audio = new Audio(URL);
  const context = new AudioContext();
  const analyser = globalThis.analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  analyser.smoothingTimeConstant = 0;
  context.createMediaElementSource(audio).connect(analyser);
  analyser.connect(context.destination);
  globalThis.context = context;
  globalThis.once = (name) => new Promise((done, failed) => {
    audio.addEventListener(name, done, {once: true});
    audio.addEventListener("error", () => failed(new Error(audio.error.message)), {once: true});
  });
  globalThis.hertz = () => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const best = bins.indexOf(Math.max(...bins));
    return bins[best] < -80 ? 0 : best * context.sampleRate / analyser.fftSize;
  };
  const known = once("loadedmetadata");
  audio.load();
  await known;
  await context.resume();
  return [audio.duration, context.state];
})()
"""
SEEK = """
(async () => {
  const there = once("seeked");
  audio.currentTime = AT;
  await there;
  await audio.play();
  const began = audio.currentTime;
  while (audio.currentTime < began + 0.5 && !audio.ended) await new Promise((done) => setTimeout(done, 20));
  const heard = [audio.currentTime, hertz()];
  audio.pause();
  return heard;
})()
"""
TO_THE_END = """
(async () => {
  const there = once("seeked");
  audio.currentTime = audio.duration - 1;
  await there;
  const over = once("ended");
  await audio.play();
  await over;
  return audio.currentTime;
})()
"""


class Page:
    """A tab, over the DevTools protocol."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._ids = count(1)
        self._session: str | None = None

    async def call(self, method: str, **params) -> dict:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        await self._line.send(json.dumps(message))
        async with asyncio.timeout(60):
            while (answer := json.loads(await self._line.recv())).get("id") != number:
                pass
        assert "error" not in answer, answer
        return answer["result"]

    async def open(self, url: str, headers: dict[str, str]) -> None:
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        await self.call("Network.enable")
        await self.call("Network.setExtraHTTPHeaders", headers=headers)
        await self.call("Page.navigate", url=url)
        while await self.run("document.readyState + location.origin") != "complete" + url.rpartition("/")[0]:
            await asyncio.sleep(0.05)

    async def run(self, script: str):
        answer = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")


@asynccontextmanager
async def chromium(binary: str, folder) -> AsyncIterator[Page]:
    """A browser of its own, with one tab."""
    process = await asyncio.create_subprocess_exec(
        binary,
        *FLAGS,
        f"--user-data-dir={folder}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        told = folder / "DevToolsActivePort"
        async with asyncio.timeout(60):
            while not told.exists() or len(told.read_text().splitlines()) < 2:
                await asyncio.sleep(0.05)
        port, path = told.read_text().splitlines()
        async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as line:
            yield Page(line)
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
def binary(program) -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    return program(next(filter(shutil.which, names), "chromium"))


@pytest_asyncio.fixture
async def player(api, binary, tmp_path) -> AsyncIterator[Page]:
    async with chromium(binary, tmp_path / "chromium") as page:
        await page.open(f"{api.http.base_url}/openapi.json", {"Authorization": "Bearer all-token"})
        yield page


def hertz_at(second: float) -> int:
    return 0 if GAP[0] <= second < GAP[1] else 400 + 100 * int(second // STEP_S)


async def plays_from(player: Page, at: float) -> None:
    """It seeks there and plays what is there. A busy machine may play late or stammer: then once more."""
    for left in reversed(range(5)):
        now, hertz = await player.run(SEEK.replace("AT", str(at)))
        if at + 0.4 < now < at + 2 and abs(hertz - hertz_at(at)) < 15:
            return
        assert left, (at, now, hertz)


async def record(tape, encode, pcm_tone) -> None:
    """Two runs with a gap between them, in six objects and a live tail."""
    await tape.open()
    at = 0
    for first, end in ((0, GAP[0]), (GAP[1], SECONDS)):
        pcm = array("h")
        for start in range(first, end, STEP_S):
            pcm.frombytes(pcm_tone(STEP_S, hertz=hertz_at(start)))
        chunks = encode(pcm.tobytes(), run_start_ms=1_700_000_000_000 + first * 1000)
        await tape.append([(_later(chunk, at), offset + at) for chunk, offset in chunks])
        at += len(pcm) * 2
    number = len(tape.chunks) - 5
    for first in range(0, number, 20):
        await tape.drain(first, min(number, first + 20))


def _later(chunk, offset: int):
    return msgspec.structs.replace(chunk, first_offset=chunk.first_offset + offset)


@pytest.mark.parametrize("kind", ["ogg", "wav"])
async def test_it_plays_seeks_and_ends_right(api, player, tape, conversation, encode, pcm_tone, until, kind):
    await record(tape, encode, pcm_tone)
    url = json.dumps(api.path(conversation, f"/audio?format={kind}"))
    duration, state = await player.run(PLAYER.replace("URL", url))
    assert (abs(duration - SECONDS) < 0.02, state) == (True, "running"), duration
    for at in (105.0, 15.2, 0.0, 64.0, 92.5, 118.0):
        await plays_from(player, at)
    assert abs(await player.run(TO_THE_END) - SECONDS) < 0.05
    assert api.services.metrics.requests["GET", "audio", "206"]._value.get() > 0
    await until(lambda: api.services.downloads.running == 0)


async def test_it_plays_what_has_no_length(
    api, player, tape, conversation, encode, pcm_tone, files_without_metadata, monkeypatch, until
):
    """Objects that do not tell lengths, and too many of them to be opened: it plays and seeks in what has come."""
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", 0)
    monkeypatch.setattr("storage_api.ogg_length.MAX_OPENED", 2)
    await record(tape, encode, pcm_tone)
    url = api.path(conversation, "/audio?format=ogg")
    head = await api.http.head(url, headers={"Authorization": "Bearer all-token"})
    assert head.headers["accept-ranges"] == "none"
    await player.run(PLAYER.replace("URL", json.dumps(url)))
    for at in (3.0, 15.2, 92.5):
        await plays_from(player, at)
    await until(lambda: api.services.downloads.running == 0)


SHOW = """
(async () => {
  document.getElementById("token").value = TOKEN;
  document.getElementById("who").requestSubmit();
  while (!document.querySelector("#list tbody tr") && !document.getElementById("message").className)
    await new Promise((done) => setTimeout(done, 20));
  const row = document.querySelector("#list tbody tr");
  return [document.getElementById("uid").value, document.getElementById("message").textContent, row && row.cells[0].textContent];
})()
"""


async def test_the_console_shows_the_conversations_of_a_token_whose_subject_is_no_uid(
    api, binary, tmp_path, tape, conversation, pcm_tone
):
    """It knows the user as the services do, by their hash."""
    identity = "auth0|ünï"
    tape.conversation = type(conversation)(uid_from_claim(identity), conversation.cid)
    await tape.record(pcm_tone(1))
    async with chromium(binary, tmp_path / "chromium") as page:
        await page.open(f"{api.http.base_url}/console", {})
        shown = await page.run(SHOW.replace("TOKEN", json.dumps(api.token(identity))))
        assert shown == [uid_from_claim(identity), "", conversation.cid]
        for subject in ("anna", "a@example.com", "sha256-" + "0" * 32, "x" * 129, "é"):
            assert await page.run(f"userOf({json.dumps(api.token(subject))})") == uid_from_claim(subject)
        assert await page.run("userOf('all-token')") == ""
