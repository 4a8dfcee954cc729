"""What each status allows, what the schedule does, what an edit may change."""

from __future__ import annotations

import msgspec
import pytest

from libs.common.errors import FailedPrecondition
from services.journey.domain import model as d
from services.journey.domain.edit import require_editable
from services.journey.domain.lifecycle import (
    MESSAGES,
    JourneyAction,
    due_change,
    published,
    require_allowed,
    stopped_by_itself,
)
from tests.unit.journey.builders import NOW, delay, journey, message, minutes, with_status

S = d.JourneyStatus
A = JourneyAction
SCHEDULE = d.Schedule(NOW, NOW + minutes(10), d.ExpiryAction.CLOSE_TRIGGER)

TABLE = {
    S.DRAFT: {A.EDIT, A.PUBLISH, A.DELETE},
    S.SCHEDULED: {A.EDIT, A.STOP, A.DELETE},
    S.ACTIVE: {A.EDIT, A.CLOSE_TRIGGER, A.STOP},
    S.TRIGGER_CLOSED: {A.STOP},
    S.STOPPING: {A.STOP},
    S.STOPPED: {A.EDIT, A.DELETE},
}


@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("action", list(A))
def test_each_status_allows_its_own_actions_and_refuses_the_others(status: S, action: A) -> None:
    given = with_status(journey(message("send")), status)
    if action in TABLE[status]:
        require_allowed(given, action)
        return
    with pytest.raises(FailedPrecondition) as refused:
        require_allowed(given, action)
    assert refused.value.reason == "STATUS_FORBIDS_ACTION"
    assert refused.value.metadata == {"status": status.name, "action": action.value}


def change(given: d.Journey, **fields: object) -> d.Definition:
    return msgspec.structs.replace(given.definition, **fields)


@pytest.mark.rule("J-06a")
@pytest.mark.parametrize("status", [S.SCHEDULED, S.ACTIVE, S.STOPPED])
def test_outside_draft_names_windows_and_content_change(status: S) -> None:
    given = with_status(journey(message("send", "wait"), delay("wait", 60)), status)
    longer = (given.definition.nodes[0], delay("wait", 120))
    for edited in (
        change(given, name="other"),
        change(given, quiet=(d.QuietWindow(0, 60),)),
        change(given, nodes=longer),
        change(given, targets=(d.Target(d.Channel.LINE, given.definition.targets[0].account_id, 5),)),
    ):
        require_editable(given, edited)


@pytest.mark.rule("J-06a")
@pytest.mark.parametrize("status", [S.SCHEDULED, S.ACTIVE, S.STOPPED])
def test_outside_draft_trigger_shape_and_channels_stay(status: S) -> None:
    given = with_status(journey(message("send", "wait"), delay("wait", 60), schedule=SCHEDULE), status)
    first, second = given.definition.nodes
    whatsapp = d.Target(d.Channel.WHATSAPP, given.definition.targets[0].account_id)
    for edited, field in (
        (change(given, trigger=d.ContactTrigger()), "nodes"),
        (change(given, nodes=(first,)), "nodes"),
        (change(given, nodes=(first, msgspec.structs.replace(second, node_id="pause"))), "nodes"),
        (change(given, nodes=(first, message("wait"))), "nodes"),
        (change(given, targets=(*given.definition.targets, whatsapp)), "targets"),
    ):
        with pytest.raises(FailedPrecondition) as refused:
            require_editable(given, edited)
        assert [violation.field for violation in refused.value.violations] == [field]
    if status is not S.STOPPED:
        with pytest.raises(FailedPrecondition):
            require_editable(given, change(given, schedule=None))


def test_a_draft_may_change_in_everything() -> None:
    given = with_status(journey(message("send")), S.DRAFT)
    require_editable(given, change(given, nodes=(), targets=(), trigger=None))


@pytest.mark.rule("J-01b")
def test_publishing_starts_at_once_or_waits_for_the_start() -> None:
    given = with_status(journey(message("send"), schedule=SCHEDULE), S.DRAFT)
    assert published(with_status(journey(message("send")), S.DRAFT), NOW) is S.ACTIVE
    assert published(given, NOW) is S.ACTIVE
    assert published(given, NOW - minutes(1)) is S.SCHEDULED


@pytest.mark.parametrize(
    ("status", "expiry", "after_minutes", "becomes"),
    [
        (S.SCHEDULED, d.ExpiryAction.STOP, -1, None),
        (S.SCHEDULED, d.ExpiryAction.STOP, 0, S.ACTIVE),
        (S.ACTIVE, d.ExpiryAction.STOP, 9, None),
        (S.ACTIVE, d.ExpiryAction.STOP, 10, S.STOPPING),
        (S.ACTIVE, d.ExpiryAction.CLOSE_TRIGGER, 10, S.TRIGGER_CLOSED),
        (S.TRIGGER_CLOSED, d.ExpiryAction.CLOSE_TRIGGER, 10, None),
        (S.TRIGGER_CLOSED, d.ExpiryAction.STOP, 10, S.STOPPING),
        (S.SCHEDULED, d.ExpiryAction.STOP, 10, S.STOPPING),
        (S.STOPPED, d.ExpiryAction.STOP, 10, None),
    ],
)
def test_the_schedule_acts_at_its_start_and_its_end(
    status: S, expiry: d.ExpiryAction, after_minutes: int, becomes: S | None
) -> None:
    schedule = msgspec.structs.replace(SCHEDULE, expiry=expiry)
    given = with_status(journey(message("send"), schedule=schedule), status)
    assert due_change(given, NOW + minutes(after_minutes)) is becomes


def test_every_reason_has_a_text_in_both_languages_and_a_status() -> None:
    given = journey(message("send"))
    for reason in d.StatusReason:
        if reason is d.StatusReason.NONE:
            continue
        assert all(MESSAGES[reason])
        closes = reason is d.StatusReason.PLAN_TRIGGER_LIMIT
        assert stopped_by_itself(given, reason) is (S.TRIGGER_CLOSED if closes else S.STOPPING)
        assert stopped_by_itself(with_status(given, S.STOPPING), reason) is None
