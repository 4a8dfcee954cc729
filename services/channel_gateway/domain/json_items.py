"""The items of a JSON list, taken apart where the list as a whole cannot be decoded.

What is wrong within one item must not hide where the next begins, so only strings, brackets and commas are looked at.
"""

from __future__ import annotations

import re
from typing import Final

BRACKETS_MAX: Final = 200_000
"""Runs of brackets that are looked at. An event of 1,000 lines has some 2,000; more than 500 such have no place in a
body that is read."""
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_OUTER: Final = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb')*+([\[\]{},"])', re.DOTALL)
_INNER: Final = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb')*+([\[{]++|[\]}]++|")', re.DOTALL)
_PAIR: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_TEXT: Final = re.compile(
    rf"((?:[^\\\ud800-\udfff]++|\\[^u\ud800-\udfff]|\\u[^dD\ud800-\udfff]|\\u[dD][0-7]|{_PAIR})*+)"
    r"(?:(\\u[dD][89a-fA-F][0-9a-fA-F]{2}|[\ud800-\udfff]++)|(.)|\Z)",
    re.DOTALL,
)
"""Good text, and what stands behind it: what is no character, or what is no JSON."""
_BLANKS: Final = b" \t\r\n"


def split_items(body: bytes, most: int) -> list[bytes] | None:
    """The bytes between the outermost brackets and commas of a list, at most `most` and one; None where it does not
    end as it began."""
    at = begin = body.index(b"[") + 1
    items: list[bytes] = []
    brackets = 0
    while len(items) <= most:
        token = _OUTER.match(body, at)
        if token is None or token[1] == b'"':
            return None
        at = token.end()
        if token[1] in b"[{":
            at, looked_at = _end_of(body, at, BRACKETS_MAX - brackets)
            brackets += looked_at
            if at < 0:
                return None
            continue
        items.append(body[begin : at - 1])
        begin = at
        if token[1] != b",":
            return items if token[1] == b"]" and not body[at:].strip(_BLANKS) else None
    return items


def without_depths(body: bytes, most: int) -> bytes:
    """The same with null for what stands within more than so many brackets, where it has not more runs of brackets than
    are looked at. So what nobody looks at within one item does not keep the others from being read."""
    kept: list[bytes] = []
    at = begin = depth = 0
    for _ in range(BRACKETS_MAX):
        token = _INNER.match(body, at)
        if token is None or token[1] == b'"':
            break
        run, place, at = len(token[1]), token.start(1), token.end()
        if token[1][:1] in b"[{":
            if depth <= most < depth + run:
                kept += [body[begin : place + most - depth], b"null"]
            depth += run
        else:
            if depth > most >= depth - run:
                begin = place + depth - most
            depth -= run
    return b"".join(kept) + body[begin:] if depth == 0 else body


def without_broken_text(body: bytes) -> bytes:
    """The same with U+0000, which no field takes, for what is no character: half a surrogate pair, bytes that are no
    UTF-8. So each is its own field's fault, and in a field that nobody knows it is none."""
    text = body.decode("utf-8", "surrogateescape")
    return _TEXT.sub(_mended, text).encode()


def _mended(found: re.Match[str]) -> str:
    return found[1] + ("\\u0000" if found[2] else found[3] or "")


def _end_of(body: bytes, at: int, most: int) -> tuple[int, int]:
    """Behind the bracket that closes the one before `at`, or -1 for none; and how many runs of brackets that took."""
    depth = 1
    for looked_at in range(1, most + 1):
        token = _INNER.match(body, at)
        if token is None or token[1] == b'"':
            break
        at = token.end()
        if token[1][:1] in b"[{":
            depth += len(token[1])
        else:
            depth -= len(token[1])
            if depth <= 0:
                return at + depth, looked_at
    return -1, most
