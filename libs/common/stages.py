"""Cursors over several kinds of rows, one after the other: which kind, and the key after which to go on in it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from libs.common.errors import FieldViolation, InvalidArgument

Stage = tuple[str, Sequence[str]]
"""A kind of rows, and the parts of the key after which to go on; none: from its beginning."""


def read_stage(cursor: str, stages: Sequence[str]) -> Stage:
    """The stage that a cursor names; an empty one names the beginning of the first. Raises InvalidArgument."""
    if not cursor:
        return stages[0], ()
    try:
        stage, *key = json.loads(cursor)
    except (ValueError, TypeError):
        stage, key = "", []
    if stage not in stages or not all(isinstance(part, str) for part in key):
        raise InvalidArgument.of(FieldViolation("cursor", "is none that was answered here"))
    return stage, key


def write_stage(stage: str, key: Sequence[object] | None, stages: Sequence[str]) -> str:
    """The cursor behind a key; behind None that of the stage that follows, empty after the last."""
    if key is not None:
        return json.dumps([stage, *map(str, key)])
    following = stages.index(stage) + 1
    return json.dumps([stages[following]]) if following < len(stages) else ""
