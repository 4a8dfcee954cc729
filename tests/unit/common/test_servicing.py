"""What all edges read alike: ids, etags, masks of updates."""

from __future__ import annotations

import pytest

from libs.common.errors import Aborted, InvalidArgument
from libs.common.ids import new_id
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import changed_fields, check_etag, ids_of, team_of
from omnijourney.segment.v1 import team_pb2

CHANGEABLE = ("time_zone", "plan", "modules", "unsigned_orders_count")


def test_ids_are_read_and_all_faults_are_told_at_once() -> None:
    team_id, journey_id = new_id(), new_id()
    assert team_of(str(team_id)) == team_id
    assert ids_of(str(team_id), "journey_id", str(journey_id)) == (team_id, journey_id)
    with pytest.raises(InvalidArgument) as refused:
        ids_of("", "journey_id", "x")
    assert [violation.field for violation in refused.value.violations] == ["team_id", "journey_id"]
    with pytest.raises(InvalidArgument):
        team_of("nobody")


def test_an_etag_is_compared_when_it_is_given() -> None:
    check_etag("", 3)
    check_etag("3", 3)
    with pytest.raises(Aborted) as refused:
        check_etag("2", 3)
    assert refused.value.reason == "ETAG_MISMATCH"


def test_a_mask_names_what_changes() -> None:
    check = FieldCheck()
    settings = team_pb2.TeamSettings(time_zone="Asia/Taipei")
    fields = changed_fields(check, ["plan.name", "modules"], CHANGEABLE, settings)
    assert fields == {"plan", "modules"}
    check.done()


def test_an_empty_mask_changes_what_is_set_and_clears_nothing() -> None:
    check = FieldCheck()
    settings = team_pb2.TeamSettings(time_zone="Asia/Taipei", plan=team_pb2.Plan(), currency_code="TWD")
    assert changed_fields(check, [], CHANGEABLE, settings) == {"time_zone", "plan"}
    check.done()


@pytest.mark.parametrize("path", ["revision", "plan.no_such", "plan.name.first", "modules.plan", "plan.", ""])
def test_a_path_that_cannot_be_changed_is_a_fault(path: str) -> None:
    check = FieldCheck()
    changed_fields(check, ["plan", path], CHANGEABLE, team_pb2.TeamSettings())
    with pytest.raises(InvalidArgument) as refused:
        check.done()
    assert [violation.field for violation in refused.value.violations] == ["update_mask"]
