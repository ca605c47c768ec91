"""Targets are worth what they notice: each of these parsers is broken on purpose, and its target must say so."""

import itertools
import struct
from random import Random

import pytest

from audiocodec.ogg.page import read_page
from tapedeck_fuzz import edits, ogg_by_hand
from tapedeck_fuzz.shrink import fault
from tapedeck_fuzz.target import SEEDS, inputs_of, load_target

TRIES = 4000


def constant(value):
    return lambda *_args, **_kwargs: value


def any_checksum(data, at):
    return read_page(ogg_by_hand.mended(data), at)


def any_number(self, *, last):
    return self._prefix + struct.pack(">IB", 0, last)


DEFECTS = {
    "the contents of a chunk are not checked": ("chunk", "audiobus.chunk._check", constant(None)),
    "any checksum of a page will do": ("ogg", "audiocodec.ogg.reader.read_page", any_checksum),
    "comments need no name": ("ogg_tags", "audiocodec.ogg.headers._check_name", constant(None)),
    "frames are told another rate": ("adts", "audiocodec.adts.SAMPLE_RATES", (8_000,) * 13),
    "records may stand in any order": ("sealed_file", "audiostore.sealing._Records._nonce", any_number),
    "a file needs no last record": ("sealed_file", "audiostore.sealing.Opener.finish", constant(None)),
    "records are counted a byte shorter": ("sealed_file", "audiostore.sealing._OVERHEAD_BYTES", 27),
    "more PCM may be told than there is": ("older_blob", "audiostore.legacy.blob._BYTES_OF_48K", 1),
    "a packet may have any number of frames": ("packet", "audiocodec.native.packet_frames", constant(1)),
    "names are written in another way": ("object_name", "audiostore.names.timestamp", constant("0.000")),
    "an id may be anything": ("key_ring", "audiostore.key_ring.valid_key_id", constant(value=True)),
}


@pytest.mark.parametrize("what", DEFECTS)
def test_a_planted_defect_is_noticed(what, monkeypatch):
    name, where, broken = DEFECTS[what]
    target = load_target(name)
    monkeypatch.setattr(where, broken)
    seeds = [path.read_bytes() for path in inputs_of(SEEDS, name)]
    random = Random(what)
    for data, number in itertools.product(seeds, range(TRIES // len(seeds))):
        changed = data
        if number:
            changed = (
                edits.raw(data, random)
                if number % 2
                else target.mutate(data, random, lambda piece: edits.raw(piece, random))
            )
        if fault(target.examine, changed) or (not number and not target.examine(data)):
            return
    pytest.fail(f"{TRIES} inputs, and nothing was noticed")
