"""A bucket like Google's, as far as the pusher asks for one: every answer comes after a delay, as over a network.

Run as `python -m bench.bucket_server PORT DELAY_MS`. Uploads in one request (create-only), lists, heads, gets of nothing, deletes; it reads uploads
whole and answers the CRC32C of what came, but keeps only names, sizes and metadata: a backlog of hours would not fit. `POST /bench/away` and
`/bench/back` make every request answer 503 and let them work again; `GET /bench/counts` tells what was asked. Owns no measuring.
"""

import asyncio
import base64
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
import uvloop

_HEAD_END = b"\r\n\r\n"
_TEXTS = {
    200: "OK",
    204: "No Content",
    404: "Not Found",
    412: "Precondition Failed",
    503: "Service Unavailable",
}
Answer = tuple[int, Any]


class Bucket:
    """What lies there, by folders, for a listing asks for one of them."""

    def __init__(self) -> None:
        self.away = False
        self.counts: Counter[str] = Counter()
        self._folders: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """Status and JSON."""
        parts = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/bench/"):
            self.away = {"away": True, "back": False}.get(parts.path.rpartition("/")[2], self.away)
            return 200, dict(self.counts)
        if self.away:
            self.counts["refused"] += 1
            return 503, _error(503, "the bucket is away")
        if parts.path.startswith("/upload/"):
            return self._put(query, body)
        if name := unquote(parts.path.partition("/o/")[2]):
            return self._object(method, name)
        self.counts["list"] += 1
        return 200, {"kind": "storage#objects", "items": self._list(query)}

    def _object(self, method: str, name: str) -> Answer:
        """Its description, or its end."""
        self.counts[method.lower()] += 1
        folder = self._folders[name.rpartition("/")[0]]
        if name not in folder:
            return 404, _error(404, "no such object")
        if method == "DELETE":
            del folder[name]
            return 204, None
        return 200, folder[name]

    def _put(self, query: dict[str, str], body: bytes) -> Answer:
        """`multipart/related`: the object's description, then its bytes."""
        self.counts["put"] += 1
        boundary, _, rest = body.partition(b"\r\n")
        about, _, rest = rest.partition(_HEAD_END)[2].partition(b"\r\n" + boundary)
        data = rest.partition(_HEAD_END)[2][: -len(boundary) - 4]
        told: dict[str, Any] = json.loads(about)
        name = told["name"]
        folder = self._folders[name.rpartition("/")[0]]
        if name in folder and query.get("ifGenerationMatch") == "0":
            return 412, _error(412, "At least one of the pre-conditions you specified did not hold.")
        crc32c = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
        if told.get("crc32c", crc32c) != crc32c:
            return 400, _error(400, "the bytes do not have the checksum that was sent")
        self.counts["bytes"] += len(data)
        self.counts["objects"] += 1
        generation = str(1_700_000_000_000_000 + self.counts["objects"])
        folder[name] = {
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
            "crc32c": crc32c,
            "etag": "CPj0zOXm9oIDEAE=",
            "timeCreated": "2026-11-01T12:00:00.000Z",
            "updated": "2026-11-01T12:00:00.000Z",
            "timeStorageClassUpdated": "2026-11-01T12:00:00.000Z",
            "metadata": told.get("metadata", {}),
        }
        return 200, folder[name]

    def _list(self, query: dict[str, str]) -> list[dict[str, Any]]:
        prefix, start = query.get("prefix", ""), query.get("startOffset", "")
        whole = prefix.rpartition("/")[0]
        folders = [self._folders.get(whole, {})]
        if prefix != f"{whole}/":
            folders = [folder for name, folder in self._folders.items() if name.startswith(whole)]
        names = {name: one for folder in folders for name, one in folder.items() if name.startswith(prefix)}
        return [one for name, one in sorted(names.items()) if name >= start]


class Connection(asyncio.Protocol):
    """One client: a request after the other."""

    def __init__(self, bucket: Bucket, delay_s: float, later: Callable[..., object]) -> None:
        self._bucket, self._delay_s, self._later = bucket, delay_s, later
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
            delay_s = 0.0 if target.startswith("/bench/") else self._delay_s
            self._later(delay_s, self._transport.write, _response(status, told))


def _read_head(head: bytes) -> tuple[str, str, int]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")]
    return method, target, int(lengths[0]) if lengths else 0


def _response(status: int, told: Any) -> bytes:
    body = b"" if told is None else json.dumps(told).encode()
    head = (
        f"HTTP/1.1 {status} {_TEXTS.get(status, 'Other')}\r\nContent-Type: application/json; charset=UTF-8\r\n"
        "Cache-Control: no-cache, no-store, max-age=0, must-revalidate\r\nPragma: no-cache\r\nVary: Origin\r\nVary: X-Origin\r\n"
        "X-GUploader-UploadID: AHmUCY0bench\r\nServer: UploadServer\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "errors": [{"message": message, "domain": "global"}]}}


async def main(port: int, delay_ms: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    bucket = Bucket()
    server = await loop.create_server(
        lambda: Connection(bucket, delay_ms / 1000, loop.call_later), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
