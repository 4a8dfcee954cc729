"""Reservations never take more than is there, and take all of a send or nothing."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channel_gateway.domain.model import Channel, Price, Send, SendAnswer, SendState
from services.channel_gateway.domain.prepare import Catalogue, Prepared
from services.channel_gateway.domain.reserve import (
    HeldPlaces,
    Limits,
    Quota,
    Reserved,
    Wallet,
    add_up,
    decide,
    quota_month,
    reserve_optimistically,
)
from tests.unit.channel_gateway.build import ACCOUNT, JOURNEY, NOW, TEAM, account, send

PRICE = Price("HKD", 500_000)
channels = st.sampled_from([Channel.LINE, Channel.WHATSAPP])
asked = st.lists(st.tuples(channels, st.integers(1, 3), st.booleans()), max_size=40)


def limits_of(cap_used: int, quota: int | None, quota_used: int, balance: int) -> Limits:
    return Limits(
        usage={(TEAM, JOURNEY, int(channel)): cap_used for channel in (Channel.LINE, Channel.WHATSAPP)},
        quotas={(TEAM, ACCOUNT): Quota(quota, quota_used)},
        wallets={TEAM: Wallet("HKD", balance)},
        prices={(TEAM, int(channel)): PRICE for channel in (Channel.LINE, Channel.WHATSAPP)},
    )


@pytest.mark.rule("C-05")
@given(
    wants=asked,
    cap=st.integers(0, 20),
    cap_used=st.integers(0, 10),
    quota=st.one_of(st.none(), st.integers(0, 20)),
    quota_used=st.integers(0, 10),
    balance=st.integers(0, 12_000_000),
)
def test_nothing_is_exceeded(
    *,
    wants: list[tuple[Channel, int, bool]],
    cap: int,
    cap_used: int,
    quota: int | None,
    quota_used: int,
    balance: int,
) -> None:
    limits = limits_of(cap_used, quota, quota_used, balance)
    sends = [
        (
            send(effect_key=UUID(int=number), channel=channel, cap=cap if capped else None),
            Prepared(account(channel), "x", [b"{}"] * messages),
        )
        for number, (channel, messages, capped) in enumerate(wants)
    ]
    decisions = decide(sends, limits, NOW)
    places = [
        HeldPlaces(TEAM, JOURNEY, one.channel, ACCOUNT, d.price, d.cap, d.quota_month, len(d.prepared.parts))
        for (one, _), d in zip(sends, decisions, strict=True)
        if isinstance(d, Reserved)
    ]
    taken = add_up(places)

    for channel in (Channel.LINE, Channel.WHATSAPP):
        key = (TEAM, JOURNEY, int(channel))
        used = cap_used + taken.usage.get(key, 0)
        assert used == limits.usage[key]
        assert used <= max(cap, cap_used)
    on_plan = taken.quotas.get((TEAM, ACCOUNT, quota_month(NOW)), 0)
    assert quota is None or on_plan == 0 or quota_used + on_plan <= quota
    paid = taken.wallets.get((TEAM, "HKD"), 0)
    assert paid <= balance
    assert limits.wallets[TEAM].balance_micros == balance - paid
    for decision, (one, prepared) in zip(decisions, sends, strict=True):
        if isinstance(decision, SendAnswer):
            assert decision.state is SendState.EXHAUSTED
            assert decision.messages == 0
        else:
            assert decision.prepared is prepared
            assert one.cap == decision.cap


@pytest.mark.rule("C-05")
@given(st.lists(st.integers(1, 3), min_size=1, max_size=30), st.integers(0, 40))
def test_a_send_is_refused_only_when_it_would_not_fit(sizes: list[int], cap: int) -> None:
    limits = limits_of(0, None, 0, 0)
    sends = [
        (send(effect_key=UUID(int=number), cap=cap), Prepared(account(), "x", [b"{}"] * size))
        for number, size in enumerate(sizes)
    ]
    used = 0
    for size, decision in zip(sizes, decide(sends, limits, NOW), strict=True):
        assert isinstance(decision, Reserved) is (used + size <= cap)
        used += size if isinstance(decision, Reserved) else 0


@given(st.integers(0, 3), st.integers(0, 3))
def test_older_epochs_are_cancelled(epoch: int, stopped: int) -> None:
    limits = limits_of(0, None, 0, 0)
    limits.stops = {(TEAM, JOURNEY): stopped}
    (decision,) = decide([(send(stop_epoch=epoch), Prepared(account(), "x", [b"{}"]))], limits, NOW)
    assert isinstance(decision, Reserved) is (epoch >= stopped)


@given(asked)
def test_what_is_given_back_is_what_was_taken(wants: list[tuple[Channel, int, bool]]) -> None:
    month = quota_month(NOW)
    places = [
        HeldPlaces(
            TEAM,
            JOURNEY,
            channel,
            ACCOUNT,
            PRICE,
            9 if capped else None,
            month if channel is Channel.LINE else None,
            count,
        )
        for channel, count, capped in wants
    ]
    total = add_up(places)
    singles = [add_up([place]) for place in places]
    assert sum(total.usage.values()) == sum(sum(one.usage.values()) for one in singles)
    assert sum(total.quotas.values()) == sum(sum(one.quotas.values()) for one in singles)
    assert sum(total.wallets.values()) == sum(sum(one.wallets.values()) for one in singles)


@given(
    wants=asked,
    cap=st.integers(0, 60),
    quota=st.one_of(st.none(), st.integers(0, 60)),
    balance=st.integers(0, 40_000_000),
    late=st.sets(st.integers(0, 39)),
)
def test_what_is_presumed_is_what_is_decided_where_the_limits_hold_all(
    *, wants: list[tuple[Channel, int, bool]], cap: int, quota: int | None, balance: int, late: set[int]
) -> None:
    sends: list[tuple[Send, Prepared | SendAnswer]] = [
        (
            send(
                effect_key=UUID(int=number),
                channel=channel,
                cap=cap if capped else None,
                not_after=NOW if number in late else None,
            ),
            Prepared(account(channel), "x", [b"{}"] * messages),
        )
        for number, (channel, messages, capped) in enumerate(wants)
    ]
    sends.append((send(effect_key=UUID(int=99)), SendAnswer(SendState.SKIPPED, "UNBOUND")))
    prices = {(TEAM, int(channel)): PRICE for channel in (Channel.LINE, Channel.WHATSAPP)}
    presumed = reserve_optimistically(sends, Catalogue({}, {}, {}, {}, prices, {}), NOW)
    decided = decide(sends, limits_of(0, quota, 0, balance), NOW)

    taken = add_up(
        HeldPlaces(TEAM, JOURNEY, one.channel, ACCOUNT, d.price, d.cap, d.quota_month, len(d.prepared.parts))
        for (one, _), d in zip(sends, presumed, strict=True)
        if isinstance(d, Reserved)
    )
    fits = (
        all(count <= taken.caps[key] for key, count in taken.usage.items())
        and all(quota is None or count <= quota for count in taken.quotas.values())
        and all(micros <= balance for micros in taken.wallets.values())
    )
    assert fits == (presumed == decided)
