"""Every target on its seeds, its regressions, and on changed seeds; the same functions that `make fuzz` runs, without atheris."""

import tracemalloc
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapedeck_fuzz import edits
from tapedeck_fuzz.make_seeds import MAKERS
from tapedeck_fuzz.target import REGRESSIONS, SEEDS, Target, inputs_of, load_target, target_names

NAMES = target_names()
MEMORY_FACTOR = 64
MEMORY_FLOOR = 2 << 20
"""What a parser may have at once: so many times its input and result, and this. Caches and first imports are in it."""


def files(folder):
    return [
        pytest.param(name, path, id=f"{name}/{path.name}")
        for name in NAMES
        for path in inputs_of(folder, name)
    ]


@cache
def target(name) -> Target:
    return load_target(name)


def test_every_target_has_seeds_and_a_maker_of_them():
    assert set(MAKERS) == set(NAMES)
    assert [name for name in NAMES if not inputs_of(SEEDS, name)] == []


@pytest.mark.parametrize("folder", [SEEDS, REGRESSIONS])
def test_no_folder_is_left_of_a_target_that_is_gone(folder):
    assert {path.name for path in folder.iterdir()} <= set(NAMES)


@pytest.mark.parametrize(("name", "path"), files(SEEDS))
def test_seeds_are_taken(name, path):
    data = path.read_bytes()
    assert len(data) <= target(name).max_bytes
    assert target(name).examine(data)


@pytest.mark.parametrize(("name", "path"), files(REGRESSIONS))
def test_what_was_found_once_stays_mended(name, path):
    target(name).examine(path.read_bytes())


@pytest.mark.parametrize(("name", "path"), files(SEEDS) + files(REGRESSIONS))
def test_memory_is_bounded_by_the_input(name, path):
    one, data = target(name), path.read_bytes()
    one.examine(data)  # what is loaded and kept once is not the input's
    tracemalloc.start()
    try:
        one.examine(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= MEMORY_FACTOR * (one.growth * len(data) + one.floor) + MEMORY_FLOOR


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False), steps=st.integers(1, 5))
def test_changed_seeds_break_no_promise(name, random, steps):
    one = target(name)
    data = random.choice(inputs_of(SEEDS, name)).read_bytes()
    for _ in range(steps):
        if random.randrange(3) == 0:
            data = edits.raw(data, random)
        else:
            data = one.mutate(data, random, lambda piece: edits.raw(piece, random))
    one.examine(data[: one.max_bytes])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_break_no_promise(name, data):
    target(name).examine(data)


@pytest.mark.parametrize("name", NAMES)
def test_mutators_take_whatever_there_is(name):
    one = target(name)
    for data in (b"", b"\0", b"\xff" * 40, *(path.read_bytes()[:20] for path in inputs_of(SEEDS, name))):
        for seed in range(40):
            random = edits.Random(seed)
            with suppress(MemoryError):
                assert isinstance(
                    one.mutate(data, random, lambda piece, random=random: edits.raw(piece, random)), bytes
                )
