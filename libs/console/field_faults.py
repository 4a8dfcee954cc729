"""What services say is wrong with a field, in the visitor's language.

Services tell it in English, as a predicate of the field: "must be at most 200 characters". Each sentence that a person
can meet at a form stands here, with names for what is different each time; one that does not is shown as the service
told it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from libs.console.languages import noted

SENTENCES: Final = (
    noted("is required"),
    noted("is required: the text of the template's header has a variable"),
    noted("is required: the address of the template's button ends in a variable"),
    noted("is required: one of the four channels"),
    noted("is required, or message_template_id, and not both"),
    noted("must be given: 0 stands for none"),
    noted("must not be blank"),
    noted("must be at most %(n)s characters"),
    noted("must have at most %(n)s characters"),
    noted("must be at least %(n)s characters"),
    noted("must have at least %(n)s characters"),
    noted("must have %(least)s to %(most)s characters"),
    noted("must be at most %(n)s bytes"),
    noted("must have at most %(n)s bytes"),
    noted("must have at most %(most)s items, has %(n)s"),
    noted("must contain at least %(n)s item(s)"),
    noted("must contain no more than %(n)s item(s)"),
    noted("must have %(least)s to %(most)s items"),
    noted("must have %(least)s to %(most)s entries"),
    noted("must not hold U+0000: take it out"),
    noted("must not hold the character U+0000"),
    noted("must not hold control characters"),
    noted("must be one line without control characters"),
    noted("must stand in one line"),
    noted("must not hold line breaks, tabs or more than 4 blanks on end"),
    noted("must be printable"),
    noted("must be a phone number, as the team's country writes it or such as +886912345678"),
    noted("must be an e-mail address"),
    noted("must be an IANA time zone such as Asia/Taipei"),
    noted("must be the ISO 3166-1 alpha-2 code of a country, such as TW"),
    noted("must be a code of ISO 4217, such as TWD"),
    noted("must be the code of ISO 4217 of another currency, each once"),
    noted("must be a code of ISO 4217, such as TWD, or empty"),
    noted("must be three capitals of ISO 4217"),
    noted("must be a day such as 2026-01-31"),
    noted("must be a decimal number such as %(example)s, of at most %(n)s digits"),
    noted("must be a decimal number such as %(example)s, with at most %(n)s digits after the point"),
    noted("must have at most %(n)s digits after the point"),
    noted("must be true or false"),
    noted("must be a letter, then up to %(n)s letters, digits and _"),
    noted("is no key of an attribute"),
    noted("is no key of an attribute: a letter, then letters, digits, _"),
    noted("must be an address with a host, without a user and without a fragment"),
    noted("must be an address of %(least)s to %(most)s printable ASCII characters without blanks"),
    noted("must be an https address, or an http one on loopback"),
    noted("must be an address %(schemes)s of at most %(n)s characters"),
    noted("must not be a private address"),
    noted("may hold variables behind the host only: %(example)s"),
    noted("must be a UUID"),
    noted("must be the UUID of a saved audience"),
    noted("is unknown"),
    noted("is there twice"),
    noted("must not be 0"),
    noted("must not be negative"),
    noted("must be greater than or equal to %(least)s and less than or equal to %(most)s"),
    noted("must be greater than or equal to %(n)s"),
    noted("must be less than or equal to %(n)s"),
    noted("must be greater than %(n)s"),
    noted("must be less than %(n)s"),
    noted("must be above %(least)s and at most %(most)s"),
    noted("must be at least %(n)s, or absent for no limit"),
    noted("must be at least %(n)s, or absent for no cap"),
    noted("must be at least %(n)s, or 0"),
    noted("must be %(least)s or more"),
    noted("must be 1 hour to 90 days"),
    noted("must be 1 minute to 365 days, in whole minutes"),
    noted("must be %(least)s to %(most)s"),
    noted("must be after start_time"),
    noted("must lie after start_time"),
    noted("must be after the start"),
    noted("must not be before the start"),
    noted("must not be after the end"),
    noted("must be at most %(n)s days after start_time"),
    noted("must be at most 7 days ahead"),
    noted("must lie ahead, in real time"),
    noted("has passed: nobody could enter"),
    noted("is for marketing coupons only"),
    noted("is out of range"),
    noted("says nothing"),
    noted("needs a test"),
    noted("needs one condition at least"),
    noted("names a saved audience that names itself, be it through others"),
    noted("is nested deeper than %(n)s"),
    noted("needs one of text, image, button, condition and coupon"),
    noted("is not closed, or not opened: write {{customer.name}}"),
    noted("has a brace too many: write {{customer.name}}"),
    noted(
        "is not filled in: write {{customer.name}}, {{attribute.KEY}}, {{trigger.KEY}} or {{points.balance}}"
    ),
    noted("needs at least one channel"),
    noted("needs %(least)s to %(most)s nodes, has %(n)s"),
    noted("needs %(least)s to %(most)s keys"),
    noted("needs %(least)s to %(most)s of them"),
    noted("may be %(n)s at most"),
    noted("at_least must not be above at_most"),
    noted("must be days of the week"),
    noted("is no phone number that can be read"),
    noted("is no phone number, as the team's country writes it or such as +886912345678"),
    noted("is no e-mail address"),
    noted("is too long"),
    noted("has a control character"),
    noted("at most %(n)s"),
    noted("must be a whole number such as 50 or -50, in plain digits"),
    noted("more points than one change may have"),
    noted("the line names no WhatsApp contact whom to give points to"),
    noted("the line names nobody: no member id, phone, e-mail address or id on the channel"),
    noted("a spreadsheet has cut the number %(cell)s: make the column text and enter it again"),
    noted("has the column %(column)s, which is for contacts of WhatsApp only: map it to nothing"),
    noted("has a heading that is too long, or whose quotes are not closed"),
    noted("is no table of text: save it as CSV, in UTF-8"),
    noted("the file is empty"),
    noted("is empty"),
    noted("must have at most %(n)s columns"),
    noted("leave no minute of the week in which messages may be sent"),
    noted("says nothing to do: set one of message, delay, condition, tags, …"),
    noted("needs a bot module or a template"),
    noted("%(channel)s is no target channel of the journey"),
    noted("is possible on WhatsApp only"),
    noted("is possible on LINE and WhatsApp only"),
    noted("must have shares that add up to %(whole)s, not %(n)s"),
    noted("is possible for one way only"),
    noted("must add or remove at least one tag"),
    noted("may add and remove at most %(n)s tags each"),
    noted("adds and removes the same tag: %(tags)s"),
    noted("names a tag that is to be added as well"),
    noted("is possible where trigger and event are each of an order, a tag or an attribute"),
    noted("is no event of the customer"),
    noted("names no node of the journey: %(node)s"),
    noted("leads back to an earlier node: a journey has no cycles"),
    noted("cannot be reached from the first node"),
    noted("trigger, node ids, kinds and the ways between nodes stay"),
    noted("the target channels and accounts stay"),
    noted("the active time stays"),
    noted("the limit stays"),
    noted("may start this journey again for the customer, up to %(n)s times in a chain"),
    noted("may start this journey again by way of %(way)s, up to %(n)s times in a chain"),
    noted("is empty for customers without a value, and their message fails: give it a default"),
    noted("the team lacks the module %(module)s"),
    noted("there is no attribute %(key)s"),
    noted("the attribute %(key)s is archived"),
    noted("the attribute is missing or archived"),
    noted("%(key)s is of type %(kind)s, not TEXT"),
    noted("is no value of type %(kind)s"),
    noted("points are closed on %(channel)s: variables of points take their defaults, coupons are left out"),
    noted(
        "names %(variable)s, but only a journey that the API starts has data of its trigger: take it out, or start the"
        " journey by trigger.system"
    ),
)
COLUMNS: Final[Mapping[str, str]] = {
    "member_id": noted("Member ID"),
    "name": noted("Name"),
    "phone": noted("Phone"),
    "email": noted("Email"),
    "tags": noted("Tags"),
    "external_id": noted("ID on the channel"),
    "Point Balance": noted("Add/deduct points"),
}
"""What a line of a file is wrong in, as the services name it before what is wrong."""
_IN_COLUMN: Final = noted("%(column)s: %(fault)s")
_FOR_PROGRAMS: Final = (
    (
        re.compile(r"(?:does not|must) match regex pattern `.+`", re.DOTALL),
        noted("is not written as it has to be, or has characters that are not allowed"),
    ),
    (re.compile(r"takes the balance above \d+ micros"), noted("takes the balance above what it may be")),
)
"""What is said to programs, and to people without the part that they cannot read."""
_VALUE: Final = re.compile(r"%\(([a-z]+)\)s")
_NUMBERS: Final = frozenset({"n", "least", "most", "whole"})
_NUMBER: Final = r"-?[\d.,^]+(?: days| hours| minutes)?"


def in_words(say: Callable[..., str], description: str) -> str:
    """The sentence in the language of `say`; as it came where it is none of ours."""
    for pattern, sentence in (*_patterns(), *_FOR_PROGRAMS):
        if match := pattern.fullmatch(description):
            found: dict[str, Any] = match.groupdict()
            return say(sentence, **found) if found else say(sentence)
    column, colon, fault = description.partition(": ")
    if colon and column in COLUMNS:
        return say(_IN_COLUMN, column=say(COLUMNS[column]), fault=in_words(say, fault))
    return description


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((_pattern(sentence), sentence) for sentence in SENTENCES)


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = _VALUE.split(sentence)
    written = [
        f"(?P<{part}>{_NUMBER if part in _NUMBERS else '.+'})" if place % 2 else re.escape(part)
        for place, part in enumerate(parts)
    ]
    return re.compile("".join(written), re.DOTALL)
