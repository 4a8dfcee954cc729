"""Signatures of webhooks: Standard Webhooks for shops, and those of their platforms, of LINE and Meta. Constant-time
comparisons."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what keys begin with, no key
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
_PLATFORM_SECRET: Final = re.compile(r"platform_([ -~]{16,64})", re.ASCII)
_OR_PLATFORMS: Final = "or platform_ and 16 to 64 printable ASCII characters"
_VERSION: Final = "v1,"
_SIGNATURES_MAX: Final = 10
"""Signatures looked at in one header; a sender that changes keys sends two."""


def shop_signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    """The value of one signature, version included, for the bytes of a body."""
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    # Not in one go by `hmac.digest`: what is large is hashed while other threads run.
    return _VERSION + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def is_signed_by_shop(
    keys: Iterable[bytes], webhook_id: str, timestamp: str, header: str, body: bytes
) -> bool:
    """Whether one of the header's signatures was made with one of the keys."""
    given = [item.encode() for item in header.split()[:_SIGNATURES_MAX]]
    good = False
    for key in keys:
        expected = shop_signature(key, webhook_id, timestamp, body).encode()
        for item in given:
            good |= hmac.compare_digest(item, expected)
    return good


def is_signed_in_base64(keys: Iterable[bytes], header: str, body: bytes) -> bool:
    """Whether Shopify's or WooCommerce's header was made with one of the keys."""
    good = False
    for key in keys:
        expected = base64.b64encode(hmac.digest(key, body, hashlib.sha256))
        good |= hmac.compare_digest(header.encode(), expected)
    return good


def is_signed_by_segment(keys: Iterable[bytes], header: str, body: bytes) -> bool:
    """Whether Segment's `X-Signature` was made with one of the keys, over the bytes as they came."""
    good = False
    for key in keys:
        expected = hmac.new(key, body, hashlib.sha1).hexdigest().encode()
        good |= hmac.compare_digest(header.lower().encode(), expected)
    return good


def is_one_of(keys: Iterable[bytes], given: bytes) -> bool:
    """Whether what was given is one of the keys."""
    good = False
    for key in keys:
        good |= hmac.compare_digest(given, key)
    return good


def encode_secret(key: bytes) -> str:
    """A key as its holder sees it."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def decode_secret(text: str) -> bytes:
    """A key as its holder wrote it, without blanks around it: ours, or behind `platform_` the secret of a shop's
    platform, whose characters are the key. Raises ValueError, fit for a caller's eyes."""
    text = text.strip()
    if match := _PLATFORM_SECRET.fullmatch(text):
        return match[1].encode()
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be whsec_ and base64, {_OR_PLATFORMS}") from None
    if not text.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        size = f"{SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}"
        raise ValueError(f"must be whsec_ and {size} bytes in base64, {_OR_PLATFORMS}")
    return key


def is_same_text(given: str, expected: str) -> bool:
    """Whether two texts are the same, found without telling how much of them is. What was given may hold what is no
    character."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


def is_signed_by_line(secrets: Iterable[str], header: str, body: bytes) -> bool:
    """Whether `x-line-signature` was made with one of the channel secrets."""
    good = False
    for secret in secrets:
        expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
        good |= hmac.compare_digest(header.strip().encode(), expected)
    return good


def is_signed_by_meta(secrets: Iterable[str], header: str, body: bytes) -> bool:
    """Whether `X-Hub-Signature-256` was made with one of the app secrets."""
    good = False
    for secret in secrets:
        expected = b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
        good |= hmac.compare_digest(header.strip().encode(), expected)
    return good
