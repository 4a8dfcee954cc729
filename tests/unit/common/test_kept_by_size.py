"""What is kept of answers: bounded by how many, and by how large."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence

import pytest

from libs.common.audience.expressions import Expression
from libs.common.audience.reading import Reading, read_audience
from libs.common.kept_by_size import LARGE_KEPT, SMALL_CHARACTERS, characters, kept_by_size
from omnijourney.segment.v1 import audience_pb2
from services.journey.convert import judging


class Answer:
    """Something whose life can be followed."""


def lives(ask: Callable[[tuple[str, ...]], Answer], texts: Sequence[tuple[str, ...]]) -> list[bool]:
    """Of each argument, whether its answer is still kept when all were asked for."""
    answers = [weakref.ref(ask(each)) for each in texts]
    gc.collect()
    return [answer() is not None for answer in answers]


def test_many_small_answers_are_kept_and_few_large_ones() -> None:
    @kept_by_size(characters, small_kept=200)
    def ask(texts: tuple[str, ...]) -> Answer:
        return Answer()

    small = [(str(number), "x" * 100) for number in range(300)]
    large = [(str(number), "x" * SMALL_CHARACTERS) for number in range(300)]
    assert lives(ask, small) == [False] * 100 + [True] * 200
    assert lives(ask, large) == [False] * (300 - LARGE_KEPT) + [True] * LARGE_KEPT
    assert ask(small[-1]) is ask(small[-1]), "large ones push out no small ones"


def test_of_many_large_audiences_few_readings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """More large ones than are kept: each is judged all the same, and those asked for last are read once."""
    read: list[audience_pb2.Audience] = []

    def counted(audience: audience_pb2.Audience) -> Reading:
        read.append(audience)
        return read_audience(audience)

    monkeypatch.setattr(judging, "read_audience", counted)

    def large(number: int) -> bytes:
        tags = [f"{number} {place} {'x' * 80}" for place in range(60)]
        predicate = audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=tags)
        audience = audience_pb2.Audience(tags=predicate)
        return audience.SerializeToString()

    audiences = [large(number) for number in range(3 * LARGE_KEPT)]
    assert min(map(len, audiences)) > SMALL_CHARACTERS
    found: list[Expression | None] = [judging._expression(each) for each in audiences]
    assert None not in found
    assert [judging._expression(each) for each in audiences[-LARGE_KEPT:]] == found[-LARGE_KEPT:]
    assert len(read) == len(audiences), "those of the last are kept"
    judging._expression(audiences[0])
    assert len(read) == len(audiences) + 1, "the first was forgotten"
