"""`audiostore.sealed_batch.sealed_facts`: what a sealed object says of itself, and whether its name agrees."""

from random import Random

from audiostore import sealing
from audiostore.errors import BatchFormatError, TamperedError
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName
from audiostore.sealed_batch import sealed_facts
from tapedeck_fuzz.sealed_by_hand import KEYS, UID
from tapedeck_fuzz.target import Raw, Target, demand
from tapedeck_fuzz.targets import batch_file

RING = KeyRing(KEYS)
START_MS = 1_732_147_200_000
"""The start that every name here says."""


def check(data: bytes) -> int | None:
    """The input is the plaintext. Taken: it is a batch that starts when its name says."""
    sealer = sealing.Sealer(RING, UID, file_id=bytes(16))
    sealed = sealer.update(data) + sealer.finish()
    name = BatchName(UID, "c", START_MS, START_MS + 1000, sealed=True)
    try:
        facts = sealed_facts(sealed[: sealing.HEAD_BYTES], RING, name)
    except TamperedError as error:
        demand("moved" in str(error), f"it was not touched, and yet: {error}")
        return None
    except BatchFormatError:
        return None
    demand(facts.start_ms == START_MS, "another start than its name says")
    return len(facts.conversation_id) + len(facts.source) + 16 * len(facts.spans)


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """The batch changed, as where it is not sealed."""
    return batch_file.mutate(data, random, raw)


TARGET = Target(check, mutate, growth=4, max_bytes=4096, words=(b"TAPEDECK_START=1732147200.000", b"OggS"))
