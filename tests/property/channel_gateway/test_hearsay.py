"""What several webhooks tell together is the same in whatever order they are told, and however they are cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.consent_words import DEFAULTS
from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.heard import Heard, Preference, PreferenceSource, TemplateReport, Wrote
from services.channel_gateway.domain.hearsay import heard_of
from services.channel_gateway.domain.model import Channel

_START: Final = datetime(2026, 3, 1, tzinfo=UTC)
_ACCOUNT: Final = UUID(int=1)
_PEOPLE: Final = st.sampled_from(["1", "2"])


@st.composite
def _told(draw: st.DrawFn) -> list[Heard]:
    """No two at one time."""
    minutes = draw(st.sets(st.integers(0, 10_000), min_size=1, max_size=10))
    return [_one(draw, _START + timedelta(minutes=minute)) for minute in minutes]


def _one(draw: st.DrawFn, at: datetime) -> Heard:
    match draw(st.integers(0, 2)):
        case 0:
            return Wrote(draw(_PEOPLE), at, "key", text=draw(st.sampled_from(["STOP", "start", "hi", ""])))
        case 1:
            return Preference(draw(_PEOPLE), at, draw(st.booleans()), PreferenceSource.CHANNEL)
        case _:
            state = draw(st.none() | st.sampled_from(TemplateState))
            return TemplateReport(
                "hello", "en", at, state, draw(st.sampled_from(["", "UTILITY", "MARKETING"]))
            )


@pytest.mark.rule("S-05d")
@given(_told(), st.data())
def test_the_latest_of_each_is_told_in_any_order(told: list[Heard], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(told), max_size=3))
    mixed = data.draw(st.permutations([*told, *again]))
    cut = data.draw(st.integers(0, len(mixed)))
    parts = [(Channel.WHATSAPP, _ACCOUNT, part) for part in (mixed[:cut], mixed[cut:])]
    whole = [(Channel.WHATSAPP, _ACCOUNT, sorted(told, key=lambda each: getattr(each, "at", _START)))]
    assert heard_of(parts, DEFAULTS) == heard_of(whole, DEFAULTS)
