"""Webhook signatures, against vectors that were computed elsewhere."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook

from services.channel_gateway.domain.signing import (
    decode_secret,
    encode_secret,
    is_same_text,
    is_signed_by_line,
    is_signed_by_meta,
    is_signed_by_shop,
)
from tests.unit.channel_gateway.build import NOW

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
EVENT = "evt_01J0000000000000000000000A"
BODY = b'{"event":"checkout_completed","event_id":"evt_01J0000000000000000000000A"}'
SIGNATURE = "v1,Ek7KlFE4i5BxdEH0ydj4G5itdLfgcVQ++lhookokjHA="


def test_a_standard_webhook_is_known_by_any_of_the_keys() -> None:
    key = decode_secret(SECRET)
    other = b"x" * 32
    assert is_signed_by_shop([key], EVENT, "1750000000", SIGNATURE, BODY)
    assert is_signed_by_shop([other, key], EVENT, "1750000000", f"v1,AAAA {SIGNATURE}", BODY)
    assert not is_signed_by_shop([other], EVENT, "1750000000", SIGNATURE, BODY)
    assert not is_signed_by_shop([], EVENT, "1750000000", SIGNATURE, BODY)
    assert not is_signed_by_shop([key], EVENT, "1750000001", SIGNATURE, BODY)
    assert not is_signed_by_shop([key], "other", "1750000000", SIGNATURE, BODY)
    assert not is_signed_by_shop([key], EVENT, "1750000000", SIGNATURE, BODY + b" ")
    assert not is_signed_by_shop([key], EVENT, "1750000000", "", BODY)


def test_the_library_that_shops_use_agrees() -> None:
    signature = Webhook(SECRET).sign("w1", NOW, BODY.decode())
    assert is_signed_by_shop([decode_secret(SECRET)], "w1", str(int(NOW.timestamp())), signature, BODY)


def test_secrets_are_checked() -> None:
    assert encode_secret(decode_secret(SECRET)) == SECRET
    assert decode_secret("platform_shpss_0123456789abcdef") == b"shpss_0123456789abcdef"
    assert decode_secret(" platform_shpss_0123456789abcdef\n") == b"shpss_0123456789abcdef"
    assert decode_secret(f"\u00a0{SECRET}\t") == decode_secret(SECRET)
    for text in ("platform_short", "platform_" + "x" * 65, "platform_" + "\n" * 20):
        with pytest.raises(ValueError, match="platform_"):
            decode_secret(text)
    for text in ("", "whsec_", "whsec_short", SECRET.removeprefix("whsec_"), "whsec_!!!"):
        with pytest.raises(ValueError, match="whsec_"):
            decode_secret(text)


def test_line_signatures() -> None:
    body = b'{"destination":"U0123456789abcdef0123456789abcdef","events":[]}'
    header = "0VGy+9JcwHBfkhjoWJOgwKUR6qeUVM8r/bXESs671jo="
    assert is_signed_by_line(["old", "test-channel-secret"], header, body)
    assert not is_signed_by_line(["other"], header, body)
    assert not is_signed_by_line(["test-channel-secret"], header, body + b" ")


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (
            b'{"object":"page","entry":[]}',
            "sha256=1a82db3abc2fa71a3fffecfedef579a8468a44850cd8a83a0c56974faff81689",
        ),
        (
            b'{"object":"page","entry":[{"id":"1","time":1,"messaging":[{"message":'
            b'{"mid":"m1","text":"\\u00e4\\u00f6\\u00e5 \\u4f60\\u597d"}}]}]}',
            "sha256=c0496bb984c9e911962fdb7834324e1927e0e21dba259c5e89fe252129693cd0",
        ),
    ],
)
def test_meta_signatures(body: bytes, header: str) -> None:
    assert is_signed_by_meta(["test-app-secret"], header, body)
    assert not is_signed_by_meta(["other"], header, body)
    assert not is_signed_by_meta(["test-app-secret"], header.removeprefix("sha256="), body)


def test_a_token_that_is_no_text_is_another_one() -> None:
    assert is_same_text("token", "token")
    assert not is_same_text(b"token\xff".decode("utf-8", "surrogateescape"), "token")
