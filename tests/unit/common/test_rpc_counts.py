"""Lists of requests are counted before anything looks at what is in them."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from libs.common.errors import InvalidArgument
from libs.common.rpc.counts import counting
from libs.common.rpc.validation import VIOLATIONS_MAX, faults_of
from omnijourney.internal.v1 import history_service_pb2
from omnijourney.journey.v1 import journey_pb2, journey_service_pb2, node_pb2
from omnijourney.segment.v1 import segment_service_pb2

MANY = 10_001


def _refused(rpc: str, request: Message) -> dict[str, str]:
    check: Any = counting(f"omnijourney.{rpc}")
    with pytest.raises(InvalidArgument) as caught:
        check(request)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_a_list_without_a_stated_bound_has_one() -> None:
    packed = b"\x22\xc0\x84\x3d" + b"a" * 1_000_000  # a megabyte of numbers of kinds that do not exist
    request = history_service_pb2.ListHistoryRequest.FromString(packed)
    assert _refused("internal.v1.HistoryService/ListHistory", request) == {
        "kinds": "must have at most 10000 items, has 1000000"
    }
    statuses: Any = [77] * MANY
    request_of_journeys = journey_service_pb2.ListJourneysRequest(statuses=statuses)
    assert list(_refused("journey.v1.JourneyService/ListJourneys", request_of_journeys)) == ["statuses"]
    masked = segment_service_pb2.UpdateCustomerRequest(update_mask=FieldMask(paths=[""] * MANY))
    assert list(_refused("segment.v1.SegmentService/UpdateCustomer", masked)) == ["update_mask.paths"]


def test_lists_within_lists_are_counted_together() -> None:
    definition = journey_pb2.Definition()
    for _ in range(30):
        template = node_pb2.TemplateContent(parameters=[""] * 4_000)
        definition.nodes.add(message=node_pb2.MessageNode(template=template))
    request = journey_service_pb2.CreateJourneyRequest(definition=definition)
    assert _refused("journey.v1.JourneyService/CreateJourney", request) == {
        "definition.nodes[24].message.template.parameters": "makes over 100000 items in all lists: send them in"
        " parts"
    }


def test_no_more_faults_are_looked_for_than_are_told() -> None:
    strange: Any = [77] * 1_000
    request = journey_service_pb2.ListJourneysRequest(statuses=strange)
    assert len(faults_of(request)) == VIOLATIONS_MAX
