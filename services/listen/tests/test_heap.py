"""Giving memory back."""

import pytest

from listen.heap import LOOKS, MANY, Heap


@pytest.fixture
def heap():
    trimmed = []
    heap = Heap()
    heap._trim = trimmed.append
    return heap, trimmed


def test_it_is_given_back_when_many_have_gone(heap):
    watched, trimmed = heap
    for sockets in (0, 1_000, 800, 751):
        watched.watch(sockets)
    assert not trimmed
    watched.watch(750)
    for _ in range(LOOKS):
        assert not trimmed
        watched.watch(700)
    assert len(trimmed) == 1
    for _ in range(2 * LOOKS):
        watched.watch(700)
    assert len(trimmed) == 1


def test_a_few_are_not_worth_it(heap):
    watched, trimmed = heap
    watched.watch(MANY - 1)
    for _ in range(2 * LOOKS):
        watched.watch(0)
    assert not trimmed


def test_without_glibc_nothing_happens(heap):
    watched, _ = heap
    watched._trim = None
    watched.watch(1_000)
    for _ in range(2 * LOOKS):
        watched.watch(0)
