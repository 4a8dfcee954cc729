"""Teams say how long their records are kept: what is older goes in every service, and nothing of anybody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from libs.common.ids import new_id
from libs.common.rpc.values import duration
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.segment.v1 import consent_pb2, customer_pb2, event_pb2
from tests.integration.journey.whole_site import LINE, refusal
from tests.integration.whole_path.stage import Stage, says, until

pytestmark = pytest.mark.asyncio(loop_scope="package")

SAID = "what a customer wrote"
TAG = "tag of a customer"
_HELD = """
SELECT (SELECT count(*) FROM channel_gateway.webhook_inbox WHERE team_id = $1) AS webhooks,
       (SELECT count(*) FROM channel_gateway.delivery WHERE team_id = $1 AND parts IS NOT NULL) AS contents,
       (SELECT count(*) FROM journey.mail WHERE team_id = $1 AND data <> '{}') AS data,
       (SELECT count(*) FROM segment.fact WHERE team_id = $1 AND strpos(encode(body, 'escape'), $2) > 0) AS texts,
       (SELECT count(*) FROM segment.fact WHERE team_id = $1 AND strpos(encode(body, 'escape'), $3) > 0) AS history,
       (SELECT count(*) FROM journey.enrolment WHERE team_id = $1 AND cardinality(commit_keys) > 0) AS steps,
       (SELECT count(*) FROM platform.audit_entry WHERE team_id = $1) AS audit
"""


class Held:
    """What services hold of teams."""

    def __init__(self, stage: Stage, connection: asyncpg.Connection[Any]) -> None:
        self.stage = stage
        self.connection = connection

    async def of(self, team_id: str) -> dict[str, bool]:
        """Whether there is any of each kind."""
        row = await self.connection.fetchrow(_HELD, team_id, SAID, TAG)
        assert row is not None
        return {kind: bool(count) for kind, count in row.items()}

    async def until(self, team_id: str, **expected: bool) -> None:
        """Waits for that."""

        async def is_so() -> bool:
            held = await self.of(team_id)
            return {kind: held[kind] for kind in expected} == expected

        try:
            await until(is_so)
        except TimeoutError:
            pytest.fail(f"held: {await self.of(team_id)}, expected {expected}")

    async def age_audit(self, days: int, *teams: str) -> None:
        """Makes all entries of teams that old."""
        query = "UPDATE platform.audit_entry SET changed_at = now() - $1::interval WHERE team_id = ANY ($2)"
        await self.connection.execute(query, timedelta(days=days), list(teams))


async def lives(stage: Stage) -> str:
    """A new team with something of each kind; its id."""
    await stage.furnish()
    await stage.order_by_webhook("M-1")
    customer = await stage.customer(LINE)
    (identity,) = (await stage.person(customer)).identities
    written = event_pb2.CustomerEvent(
        team_id=stage.site.team_id,
        event_key=str(new_id()),
        customer=customer_pb2.CustomerSelector(customer_id=customer),
        message_received=event_pb2.MessageReceived(identity=identity.key, text=SAID),
    )
    written.occur_time.FromDatetime(await stage.site.now())
    await stage.call("RecordEvents", events=[written])
    await stage.call("ChangeCustomerTags", customer_id=customer, add=[TAG])
    journey_id = await stage.live(says("hello", await stage.module("Hi {{trigger.code|-}}")))
    item = pb.SystemTriggerItem(
        journey_id=journey_id, customer_id=customer, request_id=str(new_id()), data={"code": "A7"}
    )
    await stage.call("TriggerJourneys", items=[item])
    await stage.until_texts(1, customer)
    await stage.until_done(journey_id)
    return stage.site.team_id


async def still_counts(stage: Stage, team_id: str) -> None:
    """Rows of the history are there, each at its place; keys still keep what came before from coming again."""
    facts = (await stage.call("ListFacts", team_id=team_id, page_size=500)).facts
    kinds = {fact.WhichOneof("fact") for fact in facts}
    assert kinds >= {"customer_created", "checkout_completed", "tag_applied"}
    (order,) = [fact.checkout_completed for fact in facts if fact.WhichOneof("fact") == "checkout_completed"]
    assert order.amount.amount_micros == 500_000_000


def days(**periods: float) -> consent_pb2.Retention:
    """Periods in days."""
    made = consent_pb2.Retention()
    for kind, each in periods.items():
        getattr(made, kind).CopyFrom(duration(timedelta(days=each)))
    return made


@pytest.mark.rule("S-08c")
async def test_what_is_older_than_the_team_says_goes_and_what_is_younger_stays(stage: Stage) -> None:
    plain, shorter, longer = [await lives(stage) for _ in range(3)]
    kinds = ("webhooks", "contents", "data", "texts", "history", "steps", "audit")
    everything = dict.fromkeys(kinds, True)
    connection = await asyncpg.connect(stage.site.admin_dsn)
    try:
        held = Held(stage, connection)
        for team in (plain, shorter, longer):
            await held.until(team, **everything)
        said = days(webhook_bodies=7, message_contents=1, enrolment_steps=30, histories=30, audit_entries=365)
        await stage.call("UpdateRetention", team_id=shorter, retention=said)
        said = days(
            webhook_bodies=200,
            message_contents=200,
            enrolment_steps=200,
            histories=200,
            audit_entries=800,
        )
        await stage.call("UpdateRetention", team_id=longer, retention=said)
        await stage.site.advance(days=2)
        await held.until(
            shorter, webhooks=True, history=True, steps=True, contents=False, data=False, texts=False
        )
        await held.age_audit(400, plain, shorter, longer)
        await stage.site.advance(days=6)
        await held.until(shorter, webhooks=False, audit=False)
        assert await held.of(plain) == await held.of(longer) == everything
        await held.age_audit(750, plain, longer)
        await stage.site.advance(days=90)
        await held.until(shorter, **dict.fromkeys(kinds, False))
        await held.until(plain, webhooks=False, contents=False, data=False, audit=False)
        held_by_plain = await held.of(plain)
        assert (held_by_plain["history"], held_by_plain["steps"]) == (True, True)
        assert await held.of(longer) == everything
        await still_counts(stage, shorter)
        # Back to the installation's: what lies between goes as well.
        fields = {"paths": ["webhook_bodies", "message_contents"]}
        await stage.call(
            "UpdateRetention", team_id=longer, retention=consent_pb2.Retention(), update_mask=fields
        )
        await held.until(longer, webhooks=False, contents=False, data=False, audit=True)
    finally:
        await connection.close()


async def test_periods_are_kept_with_an_etag_an_entry_and_bounds(stage: Stage) -> None:
    nothing = (await stage.call("GetRetention")).retention
    assert nothing == consent_pb2.Retention(etag="0")
    request_id = str(new_id())
    asked = {"retention": days(webhook_bodies=30), "etag": "0", "request_id": request_id}
    first = await stage.call("UpdateRetention", **asked)
    assert first == await stage.call("UpdateRetention", **asked)
    second = await stage.call("UpdateRetention", retention=days(audit_entries=365))
    assert (await stage.call("GetRetention")).retention == second.retention
    assert second.retention.webhook_bodies == duration(timedelta(days=30))
    entries = (await stage.call("ListAuditEntries", resource_type="Retention")).audit_entries
    assert [entry.method.rpartition("/")[2] for entry in entries] == ["UpdateRetention"] * 2
    stale = await refusal(stage.call("UpdateRetention", retention=days(webhook_bodies=8), etag="1"))
    assert stale.reason == "ETAG_MISMATCH"
    for periods in (
        days(webhook_bodies=6.9),
        days(message_contents=0.5),
        days(histories=29),
        days(audit_entries=3_651),
        days(hourly_figures=399),
    ):
        refused = await refusal(stage.call("UpdateRetention", retention=periods))
        assert refused.reason == "INVALID_FIELDS"
        (violation,) = refused.violations
        assert violation.field.startswith("retention.")
        assert violation.description.endswith("and less than or equal to 3,650 days")
    cleared = await stage.call(
        "UpdateRetention",
        retention=days(histories=40, hourly_figures=500),
        update_mask={"paths": ["histories", "audit_entries", "hourly_figures"]},
    )
    assert cleared.retention == consent_pb2.Retention(
        webhook_bodies=duration(timedelta(days=30)),
        histories=duration(timedelta(days=40)),
        hourly_figures=duration(timedelta(days=500)),
        etag="3",
    )
    refused = await refusal(
        stage.call("UpdateRetention", retention=days(audit_entries=400), update_mask={"paths": ["etag"]})
    )
    assert refused.violations[0].field == "update_mask"
    missing = await refusal(stage.call("GetRetention", team_id=str(new_id())))
    assert missing.reason == "RESOURCE_NOT_FOUND"
