"""A bucket like Google's, as far as the services ask for one: every answer comes after a delay, as over a network.

Run as `python -m bench.bucket_server PORT DELAY_MS [FOLDER]`. Uploads in one request (create-only), lists by pages, heads, gets, copies, deletes. Of
uploads it reads all and answers the CRC32C of what came, but keeps only names, sizes and metadata: a backlog of hours would not fit. What lies in FOLDER
(`bench.stored_recording`) is there from the start, with its bytes, and small uploads are kept then. `POST /bench/away` and `/bench/back` make every request answer 503 and let them work again,
`/bench/delay/MS` sets another delay; `GET /bench/counts` tells what was asked. Owns no measuring.
"""

import asyncio
import base64
import sys
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
import msgspec
import uvloop

from bench.stored_recording import metadata_of

_HEAD_END = b"\r\n\r\n"
_TEXTS = {
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    404: "Not Found",
    412: "Precondition Failed",
    503: "Service Unavailable",
}
_LISTED = ("name", "size", "crc32c", "metadata")
PAGE = 1_000
SMALL_BYTES = 64 * 1024
Answer = tuple[int, Any]


class Bucket:
    """What lies there."""

    def __init__(self) -> None:
        self.away = False
        self.counts: Counter[str] = Counter()
        self.delay_s = 0.0
        self._objects: dict[str, dict[str, Any]] = {}
        self._listed: dict[str, msgspec.Raw] = {}
        """What a listing says of each that it said before."""
        self._names: list[str] | None = None
        """In order; None where that is to be found out."""
        self._bytes: dict[str, Path | bytes] = {}
        """Of those that are kept, or where they lie."""
        self._keeps = False

    def load(self, folder: Path) -> None:
        """Has all objects of a `file://` store; from now on bytes of small ones are kept."""
        self._keeps = True
        for line in metadata_of(folder).read_bytes().splitlines():
            told = msgspec.json.decode(line)
            path = folder / told["name"]
            if path.exists():  # it was deleted by somebody who was measured before, else
                self._keep(self._made(told, path.read_bytes()))
                self._bytes[told["name"]] = path

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """Status, and JSON or bytes."""
        parts = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/bench/"):
            what, _, value = parts.path.removeprefix("/bench/").partition("/")
            self.away = {"away": True, "back": False}.get(what, self.away)
            if what == "delay":
                self.delay_s = float(value) / 1000
            return 200, dict(self.counts)
        if self.away:
            self.counts["refused"] += 1
            return 503, _error(503, "the bucket is away")
        if parts.path.startswith("/upload/"):
            return self._put(query, body)
        if name := parts.path.partition("/o/")[2]:
            source, _, target = name.partition("/rewriteTo/b/bench/o/")
            if target:
                return self._copy(unquote(source), unquote(target), query)
            return self._object(method, unquote(name), query)
        self.counts["list"] += 1
        return 200, self._list(query)

    def _object(self, method: str, name: str, query: dict[str, str]) -> Answer:
        """Its description, its bytes, or its end."""
        media = query.get("alt") == "media"
        self.counts["media" if media else method.lower()] += 1
        if name not in self._objects:
            return 404, _error(404, "no such object")
        if method == "DELETE":
            del self._objects[name]
            self._listed.pop(name, None)
            self._bytes.pop(name, None)
            self._names = None
            return 204, None
        if media:
            data = self._bytes[name]
            return 200, (data if isinstance(data, bytes) else data.read_bytes(), self._objects[name])
        return 200, self._objects[name]

    def _put(self, query: dict[str, str], body: bytes) -> Answer:
        """`multipart/related`: the object's description, then its bytes."""
        self.counts["put"] += 1
        boundary, _, rest = body.partition(b"\r\n")
        about, _, rest = rest.partition(_HEAD_END)[2].partition(b"\r\n" + boundary)
        data = rest.partition(_HEAD_END)[2][: -len(boundary) - 4]
        told: dict[str, Any] = msgspec.json.decode(about)
        if told["name"] in self._objects and query.get("ifGenerationMatch") == "0":
            return 412, _error(412, "At least one of the pre-conditions you specified did not hold.")
        made = self._made(told, data)
        if told.get("crc32c", made["crc32c"]) != made["crc32c"]:
            return 400, _error(400, "the bytes do not have the checksum that was sent")
        self.counts["bytes"] += len(data)
        if self._keeps and len(data) <= SMALL_BYTES:
            self._bytes[told["name"]] = data
        return 200, self._keep(made)

    def _copy(self, source: str, target: str, query: dict[str, str]) -> Answer:
        self.counts["copy"] += 1
        if source not in self._objects:
            return 404, _error(404, "no such object")
        if target in self._objects and query.get("ifGenerationMatch") == "0":
            return 412, _error(412, "At least one of the pre-conditions you specified did not hold.")
        made = self._keep({**self._objects[source], "name": target})
        if source in self._bytes:
            self._bytes[target] = self._bytes[source]
        size = made["size"]
        answer = {"kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size}
        return 200, {**answer, "done": True, "resource": made}

    def _made(self, told: dict[str, Any], data: bytes) -> dict[str, Any]:
        name, crc32c = told["name"], google_crc32c.value(data).to_bytes(4, "big")
        generation = str(1_700_000_000_000_001 + self.counts["objects"])
        return {
            "kind": "storage#object",
            "id": f"bench/{name}/{generation}",
            "selfLink": f"https://www.googleapis.com/storage/v1/b/bench/o/{name}",
            "mediaLink": f"https://storage.googleapis.com/download/storage/v1/b/bench/o/{name}?generation={generation}&alt=media",
            "name": name,
            "bucket": "bench",
            "generation": generation,
            "metageneration": "1",
            "contentType": told.get("contentType", "application/octet-stream"),
            "storageClass": "STANDARD",
            "size": str(len(data)),
            "crc32c": base64.b64encode(crc32c).decode(),
            "etag": "CPj0zOXm9oIDEAE=",
            "timeCreated": "2026-11-01T12:00:00.000Z",
            "updated": "2026-11-01T12:00:00.000Z",
            "timeStorageClassUpdated": "2026-11-01T12:00:00.000Z",
            "metadata": told.get("metadata", {}),
        }

    def _keep(self, made: dict[str, Any]) -> dict[str, Any]:
        self.counts["objects"] += 1
        self._objects[made["name"]] = made
        self._listed.pop(made["name"], None)
        self._names = None
        return made

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        """A page."""
        if self._names is None:
            self._names = sorted(self._objects)
        prefix, size = query.get("prefix", ""), int(query.get("maxResults", PAGE))
        first = bisect_left(self._names, max(prefix, query.get("startOffset", "")))
        if "pageToken" in query:
            first = bisect_right(self._names, query["pageToken"])
        if "delimiter" in query:
            folders = (
                name[: name.find("/", len(prefix)) + 1] for name in self._names if name.startswith(prefix)
            )
            return {"kind": "storage#objects", "prefixes": list(dict.fromkeys(folders))}
        names = [name for name in self._names[first : first + size] if name.startswith(prefix)]
        page: dict[str, Any] = {"kind": "storage#objects", "items": [self._item(name) for name in names]}
        after = self._names[first + size : first + size + 1]
        if len(names) == size and after and after[0].startswith(prefix):
            page["nextPageToken"] = names[-1]
        return page

    def _item(self, name: str) -> msgspec.Raw:
        if name not in self._listed:
            told = self._objects[name]
            self._listed[name] = msgspec.Raw(msgspec.json.encode({key: told[key] for key in _LISTED}))
        return self._listed[name]


class Connection(asyncio.Protocol):
    """One client: a request after the other."""

    def __init__(self, bucket: Bucket, later: Callable[..., object]) -> None:
        self._bucket, self._later = bucket, later
        self._data = bytearray()
        self._head: tuple[str, str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by birth

    def data_received(self, data: bytes) -> None:
        """Answers what is whole, a delay later."""
        self._data += data
        while True:
            if self._head is None:
                end = self._data.find(_HEAD_END)
                if end < 0:
                    return
                self._head = _read_head(bytes(self._data[:end]))
                del self._data[: end + len(_HEAD_END)]
            method, target, length = self._head
            if len(self._data) < length:
                return
            body = bytes(self._data[:length])
            del self._data[:length]
            self._head = None
            status, told = self._bucket.answer(method, target, body)
            delay_s = 0.0 if target.startswith("/bench/") else self._bucket.delay_s
            answer = _response(status, told)
            if delay_s:
                self._later(delay_s, self._transport.write, answer)
            else:
                self._transport.write(answer)


def _read_head(head: bytes) -> tuple[str, str, int]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")]
    return method, target, int(lengths[0]) if lengths else 0


def _response(status: int, told: Any) -> bytes:
    body: bytes
    kind, more = "application/json; charset=UTF-8", ""
    if isinstance(told, tuple):
        body, about = told
        kind = about["contentType"]
        more = (
            f"X-Goog-Hash: crc32c={about['crc32c']}\r\nX-Goog-Generation: {about['generation']}\r\nX-Goog-Metageneration: 1\r\n"
            f"X-Goog-Storage-Class: STANDARD\r\nETag: {about['etag']}\r\n"
        )
    else:
        body = b"" if told is None else msgspec.json.encode(told)
    head = (
        f"HTTP/1.1 {status} {_TEXTS.get(status, 'Other')}\r\nContent-Type: {kind}\r\n"
        "Cache-Control: no-cache, no-store, max-age=0, must-revalidate\r\nPragma: no-cache\r\nVary: Origin\r\nVary: X-Origin\r\n"
        f"X-GUploader-UploadID: AHmUCY0bench\r\nServer: UploadServer\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "errors": [{"message": message, "domain": "global"}]}}


async def main(port: int, delay_ms: float, folder: Path | None) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    bucket = Bucket()
    bucket.delay_s = delay_ms / 1000
    if folder is not None:
        bucket.load(folder)
    server = await loop.create_server(lambda: Connection(bucket, loop.call_later), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None))
