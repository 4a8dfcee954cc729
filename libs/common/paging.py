"""Page tokens of listings: opaque, and good for the listing that gave them only.

A token holds the key of the last row shown (keyset paging: the next page starts after it, whatever came or went in
between) and a digest of the listing's arguments, so that it cannot be carried over to another filter or team. It is
bound, not secret: it holds nothing that its listing has not shown, and what a forged one could name is checked by the
query's own team.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from google.protobuf.message import Message

from libs.common.errors import FieldViolation, InvalidArgument

Key = TypeVar("Key")
Row = TypeVar("Row")
Shown = TypeVar("Shown", bound=Message)

PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 500
PAGE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Messages of one page, but for one that alone is larger: half of what an answer may have."""
_DIGEST_BYTES: Final = 12
_TOKEN_LENGTH_MAX: Final = 2_000
_INT64_END: Final = 1 << 63


def page_size(asked: int, *, default: int = PAGE_SIZE_DEFAULT, most: int = PAGE_SIZE_MAX) -> int:
    """How many rows a page gets: 0 asks for the default, more than `most` gets `most`.

    Raises InvalidArgument when `asked` is negative.
    """
    if asked < 0:
        raise InvalidArgument.of(FieldViolation("page_size", "must not be negative"))
    return min(asked or default, most)


def page_token(key: Any, *arguments: object) -> str:
    """The token of the page after the row with `key`.

    `key` is made of str, int, bool, None, bytes, datetime, UUID and tuples of them; `arguments` are all that the
    listing was asked with, the team and the filters, not the page size.
    """
    raw = _digest(arguments) + msgspec.msgpack.encode(key)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def page_key(token: str, form: type[Key], *arguments: object) -> Key | None:
    """The key in a token, None for the first page (no token).

    `form` is the key's type, such as `tuple[datetime, UUID]`. Raises InvalidArgument `PAGE_TOKEN_INVALID` when the
    token is not of this listing with these arguments.
    """
    if not token:
        return None
    try:
        if len(token) > _TOKEN_LENGTH_MAX:
            raise ValueError("too long")
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if raw[:_DIGEST_BYTES] != _digest(arguments):
            raise ValueError("of another listing")
        return _storable(msgspec.msgpack.decode(raw[_DIGEST_BYTES:], type=form))
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        violation = FieldViolation("page_token", "is not a token of this listing with these arguments")
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID", "the page token is invalid", violations=[violation]
        ) from error


class Page(NamedTuple, Generic[Row]):
    """What a listing shows, and the token of what follows; empty at the end."""

    rows: Sequence[Row]
    next_token: str


def page_of(rows: Sequence[Row], size: int, key_of: Callable[[Row], Any], *arguments: object) -> Page[Row]:
    """The page of `size` rows out of up to `size` + 1 that were read: one more than shown says that there is more.

    `key_of` gives the key of a row, see `page_token`; `arguments` are those of the listing.
    """
    if len(rows) <= size:
        return Page(rows, "")
    return Page(rows[:size], page_token(key_of(rows[size - 1]), *arguments))


def fitting(
    page: Page[Row], messages: Sequence[Shown], key_of: Callable[[Row], Any], *arguments: object
) -> tuple[Sequence[Shown], str]:
    """As many messages of a page's rows as fit into an answer, one at least, and the token of what follows."""
    size = 0
    for place, message in enumerate(messages):
        size += message.ByteSize()
        if size > PAGE_BYTES_MAX and place:
            return messages[:place], page_token(key_of(page.rows[place - 1]), *arguments)
    return messages, page.next_token


def _storable(key: Key) -> Key:
    """The key. Raises ValueError for one that no row can have: what a forged token holds, PostgreSQL may not."""
    parts = msgspec.structs.astuple(key) if isinstance(key, msgspec.Struct) else key
    if isinstance(parts, tuple):
        for part in parts:
            _storable(part)
    elif isinstance(key, int) and not -_INT64_END <= key < _INT64_END:
        raise ValueError("a number that no 64 bits hold")
    elif isinstance(key, datetime) and key.tzinfo is None:
        raise ValueError("a time without a zone")
    elif isinstance(key, str) and "\0" in key:
        raise ValueError("a text with U+0000")
    return key


def _digest(arguments: tuple[object, ...]) -> bytes:
    text = "\x1f".join(
        repr(argument) if isinstance(argument, bytes) else str(argument) for argument in arguments
    )
    return hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES]
