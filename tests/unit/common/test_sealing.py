"""Secrets at rest: what opens them, and what does not."""

from __future__ import annotations

import secrets
from uuid import UUID

import pytest

from libs.common.sealing import CannotOpen, key_ring, place

OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)
HERE = place("gateway.account.sealed", UUID(int=1), UUID(int=2))


def test_what_is_sealed_opens_in_its_place_only() -> None:
    ring = key_ring(OLD)
    sealed = ring.seal(b"token", HERE)
    assert ring.open(sealed, HERE) == b"token"
    assert b"token" not in sealed
    assert ring.seal(b"token", HERE) != sealed, "equal secrets do not look equal"
    for elsewhere in (
        place("gateway.account.sealed", UUID(int=1), UUID(int=3)),
        place("gateway.account.sealed", UUID(int=3), UUID(int=2)),
        place("gateway.shop_key.sealed", UUID(int=1), UUID(int=2)),
    ):
        with pytest.raises(CannotOpen, match="belongs elsewhere"):
            ring.open(sealed, elsewhere)


@pytest.mark.parametrize("position", [9, 20, 21, -1])
def test_what_was_changed_does_not_open(position: int) -> None:
    ring = key_ring(OLD)
    sealed = bytearray(ring.seal(b"token", HERE))
    sealed[position] ^= 1
    with pytest.raises(CannotOpen):
        ring.open(bytes(sealed), HERE)


@pytest.mark.parametrize("stored", [b"", b"\x01", b"token", b"\x02" + b"x" * 60])
def test_what_is_of_another_form_does_not_open(stored: bytes) -> None:
    with pytest.raises(CannotOpen):
        key_ring(OLD).open(stored, HERE)


def test_the_first_key_seals_and_all_open() -> None:
    sealed = key_ring(OLD).seal(b"token", HERE)
    both = key_ring(f"{NEW}, {OLD}")
    assert both.open(sealed, HERE) == b"token"
    assert not both.is_present(sealed)
    renewed = both.seal(b"token", HERE)
    assert both.is_present(renewed)
    assert key_ring(NEW).open(renewed, HERE) == b"token"
    with pytest.raises(CannotOpen, match=f"lacks the key {key_ring(OLD).present_id.hex()}"):
        key_ring(NEW).open(sealed, HERE)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "key 1 must be 64 hexadecimal digits"),
        ("secret", "key 1 must be 64 hexadecimal digits"),
        (f"{OLD},{OLD[:-1]}", "key 2 must be 64 hexadecimal digits"),
        ("0" * 64, "key 1 is not random"),
        (f"{OLD} {OLD.upper()}", "key 2 is there twice"),
        (" ".join(secrets.token_hex(32) for _ in range(17)), "names 17 keys"),
    ],
)
def test_a_ring_that_is_wrong_is_refused_without_being_shown(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        key_ring(text)
    assert not any(word and word in str(caught.value) for word in text.split(","))


def test_a_ring_does_not_show_its_keys() -> None:
    ring = key_ring(f"{NEW},{OLD}")
    assert ring.present_id.hex() in repr(ring)
    assert NEW not in repr(ring)
    assert NEW[:16] not in repr(ring)
