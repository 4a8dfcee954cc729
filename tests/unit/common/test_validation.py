"""What every request is held to: the rules of its contract, and two that hold without being stated."""

import re

import pytest
from google.protobuf import duration_pb2, empty_pb2, timestamp_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from libs.common.errors import InvalidArgument, NotImplementedYet
from libs.common.rpc import validation
from libs.common.rpc.validation import (
    BY_ITEM,
    NESTED_MAX,
    check_of,
    plain_faults,
    reaches,
    unimplemented_fields,
    unimplemented_paths,
)
from omnijourney.common.v1 import channel_pb2, installation_service_pb2, scope_pb2
from omnijourney.internal.v1 import customers_service_pb2, ledger_service_pb2, sends_service_pb2
from omnijourney.journey.v1 import journey_pb2, journey_service_pb2
from omnijourney.points.v1 import points_service_pb2
from omnijourney.segment.v1 import api_client_pb2, audience_pb2, customer_pb2, segment_service_pb2
from tools.paths import PROTOS

TRIGGER = "omnijourney.journey.v1.JourneyService/TriggerJourneys"
TEAM = "018f0000-0000-7000-8000-000000000001"
CREATE = "omnijourney.segment.v1.SegmentService/CreateCustomer"


def _refused(rpc: str, request: Message) -> dict[str, str]:
    """Violations by field."""
    check = check_of(rpc)
    assert check is not None
    with pytest.raises(InvalidArgument) as caught:
        check(request)
    assert caught.value.reason == "INVALID_FIELDS"
    return {violation.field: violation.description for violation in caught.value.violations}


def test_all_faults_of_a_request_are_told_at_once_with_their_paths() -> None:
    customer = customer_pb2.Customer(name="a\0b", tags=["x", "\0"], attributes={"tier": "\0"})
    customer.identities.add().key.channel = 99  # type: ignore[assignment]  # no such channel
    request = segment_service_pb2.CreateCustomerRequest(
        team_id="team", request_id="r" * 101, customer=customer
    )
    assert _refused(CREATE, request) == {
        "team_id": "must be a UUID",
        "request_id": "must be at most 100 characters",
        "customer.name": "must not hold U+0000: take it out",
        "customer.tags[1]": "must not hold U+0000: take it out",
        'customer.attributes["tier"]': "must not hold U+0000: take it out",
        "customer.identities[0].key.channel": "has no value 99: must be one of CHANNEL_LINE, CHANNEL_WHATSAPP, "
        "CHANNEL_MESSENGER, CHANNEL_INSTAGRAM",
    }


@pytest.mark.parametrize(
    ("request_id", "said"),
    [
        ("", "is required"),
        ("a\nb", "must hold printable characters only: no line breaks, no marks that nobody sees"),
        ("\u200b", "must hold printable characters only: no line breaks, no marks that nobody sees"),
    ],
)
def test_a_form_is_said_in_words(request_id: str, said: str) -> None:
    request = segment_service_pb2.CreateCustomerRequest(team_id=TEAM, request_id=request_id)
    assert _refused(CREATE, request) == {"request_id": said}


def test_values_of_an_enum_that_are_taken_are_told_by_name() -> None:
    client = api_client_pb2.ApiClient(name="till", scopes=[scope_pb2.SCOPE_UNSPECIFIED])
    request = segment_service_pb2.CreateApiClientRequest(team_id=TEAM, request_id="r", api_client=client)
    assert _refused("omnijourney.segment.v1.SegmentService/CreateApiClient", request) == {
        "api_client.scopes[0]": "must be one of SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN, SCOPE_OPERATE"
    }


def test_every_form_of_the_contracts_has_words() -> None:
    forms = set(
        re.findall(r'pattern: "(.+?)"', "".join(each.read_text() for each in PROTOS.rglob("*.proto")))
    )
    assert {form.replace("\\\\", "\\") for form in forms} == set(validation._PATTERNS)


def test_what_is_missing_is_required() -> None:
    assert _refused(
        "omnijourney.points.v1.PointsService/GetCoupon", points_service_pb2.GetCouponRequest()
    ) == {
        "team_id": "is required",
        "coupon_id": "is required",
    }


def test_a_day_that_is_none_is_refused_where_days_are_named() -> None:
    window = journey_pb2.QuietWindow(end_minute=60, weekdays=[journey_pb2.WEEKDAY_UNSPECIFIED])
    request = journey_service_pb2.CreateJourneyRequest(team_id=TEAM, request_id="r")
    request.definition.do_not_disturb.windows.append(window)
    assert _refused("omnijourney.journey.v1.JourneyService/CreateJourney", request) == {
        "definition.do_not_disturb.windows[0].weekdays[0]": "must be given: 0 stands for none"
    }


def test_enums_are_found_however_deep_a_tree_is() -> None:
    inner = audience_pb2.Audience(
        binding=audience_pb2.BindingPredicate(channel=channel_pb2.Channel.ValueType(7))
    )
    tree = audience_pb2.Audience(negation=audience_pb2.Audience(negation=inner))
    assert [fault.field for fault in plain_faults(tree)] == ["negation.negation.binding.channel"]


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        (-62_135_596_800, 0),  # the unset time of Go and .NET, and the driver's -infinity
        (-1, 999_999_999),
        (253_370_764_800, 0),  # the year 9999, whose end is the driver's infinity
        (2**63 - 1, 0),
        (-(2**63), 0),
        (0, -1),
        (0, 1_000_000_000),
    ],
)
def test_times_that_are_not_believed_are_refused_wherever_they_are(seconds: int, nanos: int) -> None:
    time = timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)
    coupon = points_service_pb2.CreateCouponRequest()
    coupon.coupon.start_time.CopyFrom(time)
    instant = audience_pb2.Audience(negation=audience_pb2.Audience())
    instant.negation.time.before.instant.CopyFrom(time)
    assert [fault.field for fault in plain_faults(coupon)] == ["coupon.start_time"]
    assert [(fault.field, fault.description) for fault in plain_faults(instant)] == [
        ("negation.time.before.instant", "must be a time in the years 1970 to 9998")
    ]


@pytest.mark.parametrize("seconds", [0, 1_767_225_600, 253_370_764_799])
def test_times_from_1970_to_9998_are_believed(seconds: int) -> None:
    coupon = points_service_pb2.CreateCouponRequest()
    coupon.coupon.expire_time.seconds = seconds
    assert plain_faults(coupon) == []


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(2**63 - 1, -(2**31)), (-1, 0), (0, -1), (0, 10**9), (36_525 * 86_400 + 1, 0)]
)
def test_spans_that_no_time_could_take_are_refused(seconds: int, nanos: int) -> None:
    request = journey_service_pb2.CreateJourneyRequest(team_id=TEAM, request_id="r")
    request.definition.nodes.add(node_id="a").delay.delay.CopyFrom(
        duration_pb2.Duration(seconds=seconds, nanos=nanos)
    )
    assert _refused("omnijourney.journey.v1.JourneyService/CreateJourney", request) == {
        "definition.nodes[0].delay.delay": "must be a span of 0 to 36525 days"
    }


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), float("-inf")])
def test_fractions_are_numbers(rate: float) -> None:
    fault = "must be a number, neither infinite nor NaN"
    assert _refused(
        "omnijourney.common.v1.InstallationService/SetClock",
        installation_service_pb2.SetClockRequest(rate=rate),
    ) == {"rate": fault}


def test_what_is_nested_too_deep_to_be_read_again_is_refused() -> None:
    def faults(levels: int) -> list[str]:
        audience = audience_pb2.Audience(tags=audience_pb2.TagPredicate(tags=["vip"]))
        for _ in range(levels):
            audience = audience_pb2.Audience(negation=audience)
        request = journey_service_pb2.CreateJourneyRequest(team_id=TEAM, request_id="r")
        request.definition.nodes.add(node_id="a").condition.audience.CopyFrom(audience)
        return [fault.description for fault in plain_faults(request)]

    assert faults(20) == []
    assert faults(85) == [f"is nested deeper than {NESTED_MAX} levels"]


def test_a_byte_0_that_is_no_text_is_no_fault() -> None:
    request = points_service_pb2.UploadImportFileRequest(csv=b"\0")
    assert plain_faults(request) == []


def test_a_good_request_passes_and_others_packages_are_not_looked_at() -> None:
    check = check_of("omnijourney.points.v1.PointsService/GetLedgerSummary")
    assert check is not None
    check(points_service_pb2.GetLedgerSummaryRequest(team_id=TEAM))
    assert check_of("grpc.health.v1.Health/Check") is None
    assert plain_faults(empty_pb2.Empty()) == []


def test_items_of_batches_that_answer_item_by_item_are_judged_by_hand() -> None:
    items = [journey_service_pb2.SystemTriggerItem(journey_id="none")]
    check = check_of(TRIGGER)
    assert check is not None
    check(journey_service_pb2.TriggerJourneysRequest(team_id=TEAM, items=items))
    assert _refused(TRIGGER, journey_service_pb2.TriggerJourneysRequest(team_id="team", items=items)) == {
        "team_id": "must be a UUID"
    }
    only_items = {rpc for rpc in BY_ITEM if check_of(rpc) is None}
    assert {rpc.rpartition("/")[2] for rpc in only_items} == {
        "ApplyChanges",
        "PostEntries",
        "RecordEvents",
        "SendMessages",
    }


@pytest.fixture
def nothing_acts_on_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the data of triggers were marked as a field that nothing acts on yet."""
    name = "omnijourney.journey.v1.SystemTriggerItem.data"
    monkeypatch.setattr(validation, "_is_unimplemented", lambda field: field.full_name == name)


@pytest.mark.usefixtures("nothing_acts_on_data")
def test_a_field_that_nothing_acts_on_yet_is_refused_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    request = journey_service_pb2.TriggerJourneysRequest(team_id="not looked at before")
    request.items.add(journey_id="a")
    request.items.add(data={"code": "A7"})
    assert unimplemented_paths(request) == ["items[1].data"]
    monkeypatch.setattr(validation, "BY_ITEM", frozenset())
    check = check_of(TRIGGER)
    assert check is not None
    with pytest.raises(NotImplementedYet) as caught:
        check(request)
    assert caught.value.reason == "NOT_IMPLEMENTED"
    assert [violation.field for violation in caught.value.violations] == ["items[1].data"]


@pytest.mark.usefixtures("nothing_acts_on_data")
def test_of_batches_judged_by_item_only_the_item_is_refused_that_sets_such_a_field() -> None:
    check = check_of(TRIGGER)
    assert check is not None
    request = journey_service_pb2.TriggerJourneysRequest(
        team_id=TEAM, items=[journey_service_pb2.SystemTriggerItem(journey_id="not looked at here")]
    )
    request.items.add(data={"code": "A7"})
    check(request)
    assert [unimplemented_paths(item) for item in request.items] == [[], ["data"]]


def test_who_serves_batches_with_such_items_is_known_to_ask_for_them() -> None:
    contracts = (
        *(customers_service_pb2, ledger_service_pb2, sends_service_pb2),
        *(journey_service_pb2, points_service_pb2, segment_service_pb2),
    )
    items = {
        f"{service.full_name}/{method.name}": [field.message_type for field in method.input_type.fields]
        for contract in contracts
        for service in contract.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if f"{service.full_name}/{method.name}" in BY_ITEM
    }
    assert items.keys() == BY_ITEM
    # A servicer that comes to this list asks `unimplemented_paths` of each item.
    assert {rpc for rpc, forms in items.items() if any(map(_has_unimplemented, forms))} == set()


def _has_unimplemented(form: Descriptor | None) -> bool:
    return form is not None and reaches(
        form, lambda field: field.name in unimplemented_fields(field.containing_type)
    )
