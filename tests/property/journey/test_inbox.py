"""Mail is read once and in order, however it comes."""

from hypothesis import given
from hypothesis import strategies as st

from libs.common.mailbox.mail import MailSource
from services.journey.domain.inbox import read_inbox
from tests.unit.journey.builders import checkout

_TAKEN = st.dictionaries(st.sampled_from(MailSource), st.integers(0, 3), max_size=3)
_COMING = st.lists(st.tuples(st.sampled_from(MailSource), st.integers(1, 6)), max_size=8)


@given(_TAKEN, _COMING)
def test_what_is_read_follows_without_a_gap_and_what_is_left_does_not(
    taken: dict[int, int], coming: list[tuple[MailSource, int]]
) -> None:
    inbox = read_inbox(taken, [checkout(number, source=source) for source, number in coming])
    last = dict(taken)
    for mail in inbox.mails:
        assert mail.number == last.get(mail.source, 0) + 1
        last[mail.source] = mail.number
    left = {(source, number) for source, number in coming if number > last.get(source, 0)}
    assert all(number > last.get(source, 0) + 1 for source, number in left)
    assert inbox.gaps == {source: last.get(source, 0) for source, _ in left}


@given(_TAKEN, st.permutations([*MailSource, *MailSource]))
def test_mail_in_order_is_read_as_it_comes(taken: dict[int, int], sources: list[MailSource]) -> None:
    last = dict(taken)
    mails = []
    for source in sources:
        last[source] = last.get(source, 0) + 1
        mails.append(checkout(last[source], source=source))
    inbox = read_inbox(taken, mails)
    assert (list(inbox.mails), inbox.gaps) == (mails, {})
