"""The baseline of a pusher at a bucket: batches built from packets in memory and uploaded by the client library alone, in threads.

Run as `python -m bench.bare_upload ENDPOINT BUCKET COUNT PREFIX`; prints JSON: milliseconds of CPU of this process a batch. No Redis, no checks of what
was stored, no tombstones: the least that has to be done. The library and its calls are those of `gs://`.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from audiostore.batch import Batch, batch_file
from audiostore.names import CONTENT_TYPE
from bench import speech

AT_ONCE = 8
START_MS = 1_700_000_000_000


def main(endpoint: str, bucket: str, count: int, prefix: str) -> None:
    """Measure and print."""
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call] # google-auth types its classes, not their making
    client = Client(project="bench", credentials=nobody, client_options={"api_endpoint": endpoint})
    place = client.bucket(bucket)
    batches = [next(speech.batches(f"b{n}", START_MS + n, START_MS + n, 1)) for n in range(count)]

    def store(number: int, batch: Batch) -> None:
        file = batch_file(batch)
        blob = place.blob(f"{prefix}/{number}")
        blob.metadata = file.metadata
        blob.upload_from_string(
            file.data, content_type=CONTENT_TYPE, if_generation_match=0, checksum="crc32c"
        )

    with ThreadPoolExecutor(AT_ONCE) as threads:
        # The first ones import what the library needs, and connect.
        list(threads.map(store, range(-AT_ONCE, 0), batches))
        began = time.process_time()
        list(threads.map(store, range(count), batches))
        spent = time.process_time() - began
    print(json.dumps({"ms": spent * 1000 / count}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
