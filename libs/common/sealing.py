"""Secrets at rest: encrypted with a key from configuration and bound to the row that holds them.

AES-256-GCM. Stored are a version byte, 8 bytes that name the key, a nonce of 12 bytes, and the ciphertext with its tag.
Version, key and place (which column of which row) are authenticated with it: what was copied to another row, column or
team cannot be opened there. Nonces are random: one key may seal 2^32 values.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
KEYS_MAX: Final = 16
"""Keys of one ring: the present one, and those that a rotation has not come round to yet."""
_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = len(_VERSION) + KEY_ID_BYTES
_KEY: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_DISTINCT_BYTES_MIN: Final = 12
"""Of 32 random bytes, fewer differ once in 10^20 keys: what is below was typed by somebody."""


class CannotOpen(Exception):
    """A sealed value cannot be opened; the text names the key, never the value."""


class KeyRing:
    """The keys of an installation: the first one seals, all of them open."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """`keys` of KEY_BYTES each, at least one."""
        self._keys = {key_id(key): AESGCM(key) for key in keys}
        self.present_id: Final = next(iter(self._keys))
        """Names the key that seals."""

    def __repr__(self) -> str:
        """Without the keys."""
        return f"KeyRing(present={self.present_id.hex()}, keys={len(self._keys)})"

    @property
    def key_ids(self) -> frozenset[bytes]:
        """Names of all keys."""
        return frozenset(self._keys)

    def seal(self, value: bytes, place: bytes) -> bytes:
        """`value` as it is stored in `place`."""
        head = _VERSION + self.present_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + self._keys[self.present_id].encrypt(nonce, value, head + place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """The value that was sealed for `place`. Raises CannotOpen."""
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        if head[:1] != _VERSION or len(nonce) < _NONCE_BYTES:
            raise CannotOpen("it is not of a form that this release knows")
        key = self._keys.get(head[1:])
        if key is None:
            raise CannotOpen(f"OMNIJOURNEY_SECRET_KEYS lacks the key {head[1:].hex()}")
        try:
            return key.decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], head + place)
        except InvalidTag:
            raise CannotOpen(f"it was changed, or belongs elsewhere (key {head[1:].hex()})") from None

    def is_present(self, sealed: bytes) -> bool:
        """Whether a value is sealed with the key that seals now."""
        return sealed[:_HEAD_BYTES] == _VERSION + self.present_id


def key_ring(text: str) -> KeyRing:
    """The ring that a configuration names: keys of 64 hexadecimal digits, separated by commas or spaces.

    Raises ValueError, which says which key is wrong and shows none.
    """
    keys = []
    for number, word in enumerate(re.split(r"[\s,]+", text.strip(" \t\r\n,")), 1):
        if not _KEY.fullmatch(word):
            raise ValueError(
                f"key {number} must be {2 * KEY_BYTES} hexadecimal digits (openssl rand -hex 32)"
            )
        key = bytes.fromhex(word)
        if len(set(key)) < _DISTINCT_BYTES_MIN:
            raise ValueError(f"key {number} is not random: make one with openssl rand -hex 32")
        if key in keys:
            raise ValueError(f"key {number} is there twice")
        keys.append(key)
    if len(keys) > KEYS_MAX:
        raise ValueError(f"names {len(keys)} keys, at most {KEYS_MAX} are allowed")
    return KeyRing(keys)


def key_id(key: bytes) -> bytes:
    """Names a key without giving it away."""
    return hashlib.sha256(b"omnijourney secret key\n" + key).digest()[:KEY_ID_BYTES]


def place(column: str, *ids: UUID | str) -> bytes:
    """Where a value stands: `schema.table.column`, and what identifies the row, of fixed form or last."""
    return "\n".join([column, *map(str, ids)]).encode()
