"""Mail survives the wire, and old readers survive newer writers."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from libs.common.audience.expressions import AttributeType
from libs.common.mailbox import mail as m
from libs.common.mailbox.redis_mailbox import parts_of

ID = UUID("01890000-0000-7000-8000-00000000000a")
AT = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)

BODIES: list[m.Body] = [
    m.Checkout(ID, "shop", "o-1", 12_340_000, "USD", ["CANDY – 糖"], earns=True, has_phone=False, test=False),
    m.Refund(ID, "shop", "r-1", None, None, 1, "USD"),
    m.Refund(ID, "shop", "r-1", "o-1", ID, 1, "USD"),
    m.ContactAdded(1, ID),
    m.TagApplied("vip"),
    m.TagRemoved("vip"),
    m.AttributeChanged("tier", AttributeType.TEXT, None, "platinum"),
    m.SendOutcome(ID, ID, m.Outcome.SENT, "", AT, 2),
    m.SystemTrigger(ID, ID),
    m.SystemTrigger(UUID(int=0), ID, m.End(ID, "why")),
    m.Unreadable("of a later release"),
    m.ProfileChanged(),
]


def _mail(body: m.Body) -> m.Mail:
    return m.Mail(m.MailSource.GATEWAY, 3, 9, 63, ID, ID, ID, AT, 2, body)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_what_is_written_is_read(body: m.Body) -> None:
    mail = _mail(body)
    assert m.decode(m.encode(mail)) == mail


def test_times_keep_their_zone_and_microseconds() -> None:
    assert m.decode(m.encode(_mail(BODIES[0]))).occurred_at.isoformat() == "2026-02-03T04:05:06.789012+00:00"


def test_a_field_appended_by_a_newer_writer_is_skipped() -> None:
    written = msgspec.msgpack.decode(m.encode(_mail(m.TagApplied("vip"))))
    *head, body, view, trace = written
    newer = msgspec.msgpack.encode([*head, [*body, "new in the body"], view, trace, "new in the mail"])
    assert m.decode(newer) == _mail(m.TagApplied("vip"))


def test_mail_of_an_earlier_release_brings_no_view() -> None:
    *earlier, view, _trace = msgspec.msgpack.decode(m.encode(_mail(m.TagApplied("vip"))))
    assert m.decode(msgspec.msgpack.encode(earlier)) == _mail(m.TagApplied("vip"))
    assert m.decode(msgspec.msgpack.encode([*earlier, view])) == _mail(m.TagApplied("vip"))


@pytest.mark.parametrize("view", [[7], "none", [1, 2, 3, 4, 5, 6, 7, 8, 9]])
def test_a_view_that_nobody_can_read_hides_no_mail(view: object) -> None:
    *head, _view, _trace = msgspec.msgpack.decode(m.encode(_mail(m.TagApplied("vip"))))
    assert m.decode_all([msgspec.msgpack.encode([*head, view])]) == [_mail(m.TagApplied("vip"))]


@pytest.mark.parametrize("body", [[99, "a body of a later release"], [4], [4, 7], "none"])
def test_a_body_that_nobody_knows_hides_no_other_mail(body: object) -> None:
    written = msgspec.msgpack.decode(m.encode(_mail(m.TagApplied("vip"))))
    odd = msgspec.msgpack.encode([*written[:-3], body])
    first, unreadable, last = m.decode_all([m.encode(_mail(BODIES[0])), odd, m.encode(_mail(BODIES[3]))])
    assert (first, last) == (_mail(BODIES[0]), _mail(BODIES[3]))
    assert isinstance(unreadable.body, m.Unreadable)
    assert (unreadable.number, unreadable.customer_id, unreadable.occurred_at) == (3, ID, AT)


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode({"a": 1})]
)
def test_what_is_no_mail_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        m.decode(data)


def test_mail_goes_in_parts_that_are_bounded_in_bytes() -> None:
    mails = [(_mail(m.TagApplied("vip")), b"x" * size) for size in (3, 3, 3, 20, 1, 8, 1)]

    def sizes(bytes_max: int) -> list[list[int]]:
        return [[len(payload) for _, payload in part] for part in parts_of(mails, bytes_max)]

    assert sizes(8) == [[3, 3], [3], [20], [1], [8], [1]]
    assert sizes(100) == [[3, 3, 3, 20, 1, 8, 1]]
    assert list(parts_of([], 8)) == []


def test_body_tags_never_change() -> None:
    assert [type(body).__struct_config__.tag for body in BODIES] == [*(1, 2, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10)]
