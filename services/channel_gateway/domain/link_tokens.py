"""Tokens of short links: one block of AES over the link's number and the beginning of the send's key.

So a token names team, journey, node, customer and address without a row of its own, the same send has the same tokens
whenever it is written, and nobody without the key can make one, or the next one: a block that was guessed opens to
another number, whose check fails or that no send has.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

KEY_BYTES: Final = 32
TOKEN_LENGTH: Final = 22
"""Letters and digits: two halves of 64 bits, 11 each."""
LINK_ID_MAX: Final = (1 << 36) - 1
_PREFIX_BITS: Final = 84
"""Of the effect key that a token has: two keys of a team that begin alike are not to be expected."""
_REST_BITS: Final = 128 - _PREFIX_BITS
_REST: Final = (1 << _REST_BITS) - 1
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)}
_PAIRS: Final = tuple(a + b for a in _DIGITS for b in _DIGITS)
_HALF_BYTES: Final = 8
_HALF_LENGTH: Final = 11
_HALF_END: Final = 1 << 64


class OpenedToken(NamedTuple):
    """What a token names: the link's number, and the range that the key of the send lies in."""

    link_id: int
    lowest: UUID
    highest: UUID


class TokenSeal:
    """Makes tokens, and opens them."""

    def __init__(self, key: bytes) -> None:
        """`key` of KEY_BYTES, the installation's."""
        # A block is used for itself alone and all its bits differ from block to block: a permutation is what is wanted.
        cipher = Cipher(AES(key), ECB())  # noqa: S305  # nosec B305
        self._seal = cipher.encryptor().update
        self._open = cipher.decryptor().update

    def __repr__(self) -> str:
        """Without the key."""
        return "TokenSeal()"

    def token(self, link_id: int, effect_key: UUID) -> str:
        """The token of a link in the message of a send."""
        prefix = effect_key.int >> _REST_BITS
        sealed = self._seal(((link_id << _PREFIX_BITS) | prefix).to_bytes(16, "big"))
        return _written(sealed[:_HALF_BYTES]) + _written(sealed[_HALF_BYTES:])

    def opened(self, token: str) -> OpenedToken | None:
        """What a token names; None for what is none of ours. Whether there is such a send is not looked at."""
        if len(token) != TOKEN_LENGTH:
            return None
        halves = [_read(token[:_HALF_LENGTH]), _read(token[_HALF_LENGTH:])]
        if any(half is None for half in halves):
            return None
        number = int.from_bytes(self._open(b"".join(half for half in halves if half is not None)), "big")
        link_id, prefix = number >> _PREFIX_BITS, number & ((1 << _PREFIX_BITS) - 1)
        if not 0 < link_id <= LINK_ID_MAX:
            return None
        lowest = prefix << _REST_BITS
        return OpenedToken(link_id, UUID(int=lowest), UUID(int=lowest | _REST))


def _written(half: bytes) -> str:
    number, last = divmod(int.from_bytes(half, "big"), 62)
    number, e = divmod(number, 3844)
    number, d = divmod(number, 3844)
    number, c = divmod(number, 3844)
    a, b = divmod(number, 3844)
    return _PAIRS[a] + _PAIRS[b] + _PAIRS[c] + _PAIRS[d] + _PAIRS[e] + _DIGITS[last]


def _read(text: str) -> bytes | None:
    number = 0
    for digit in text:
        value = _VALUES.get(digit)
        if value is None:
            return None
        number = number * 62 + value
    return number.to_bytes(_HALF_BYTES, "big") if number < _HALF_END else None
