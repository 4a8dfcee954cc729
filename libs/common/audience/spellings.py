"""What member ids, phones and e-mail addresses are compared with, read as customers' own are at all doors (S-01c).

Pure. A reader knows no country, so it leaves a phone as the country writes it for `localized`, which those who evaluate
audiences of a team apply first.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
import phonenumbers

from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    BasicField,
    Expression,
    HasBasic,
    InAudience,
    Negation,
    TextOperator,
    TextTest,
    predicates,
)
from libs.common.phones import digits_of, is_e164, read_phone
from libs.common.text import UNSEEN, as_address, as_key

_WHOLE: Final = frozenset({TextOperator.EQUALS, TextOperator.NOT_EQUALS})
"""They ask for a text as a whole, the others for a part of it."""
_FROM_THE_START: Final = _WHOLE | {TextOperator.STARTS_WITH}
_ZEROS: Final = re.compile(r"^0+(?=[0-9]{8,}$)")
"""Of a number as its country writes it; in E.164 the rest of it stands behind the calling code."""


def spelled(field: BasicField, operator: TextOperator, text: str) -> str:
    """A value as it was typed, spelled as customers' own are, as far as that takes no country."""
    whole = operator in _WHOLE
    match field:
        case BasicField.MEMBER_ID:
            return as_key(text) if whole else text.translate(UNSEEN)
        case BasicField.EMAIL:
            return as_address(text) if whole else text.translate(UNSEEN)
        case BasicField.PHONE:
            return (read_phone(text, "") if whole else None) or _part(operator, text)


def _part(operator: TextOperator, text: str) -> str:
    digits = digits_of(text)
    if digits is None:
        return text.translate(UNSEEN)
    if operator is TextOperator.STARTS_WITH and digits.startswith("00"):
        return f"+{digits[2:]}"
    return digits if operator in _FROM_THE_START else _ZEROS.sub("", digits)


def is_local(predicate: Expression) -> bool:
    """Whether it takes the team's country to read what a phone is compared with."""
    return (
        isinstance(predicate, HasBasic)
        and predicate.field is BasicField.PHONE
        and isinstance(predicate.test, TextTest)
        and predicate.test.operator in _FROM_THE_START
        and not all(value.startswith("+") for value in predicate.test.values)
    )


def localized(expression: Expression, country: str) -> Expression:
    """The same with phones in E.164 that were written as people of `country` do; empty where none is known."""
    if not country or not any(map(is_local, predicates(expression))):
        return expression
    return _localized(expression, country)


def _localized(expression: Expression, country: str) -> Expression:
    match expression:
        case AllOf(items):
            return AllOf(tuple(_localized(item, country) for item in items))
        case AnyOf(items):
            return AnyOf(tuple(_localized(item, country) for item in items))
        case Negation(item):
            return Negation(_localized(item, country))
        case InAudience(inner=inner) if inner is not None:
            return msgspec.structs.replace(expression, inner=_localized(inner, country))
        case HasBasic(field, TextTest(operator, values)) if is_local(expression):
            read = _number if operator in _WHOLE else _beginning
            return HasBasic(field, TextTest(operator, tuple(read(value, country) for value in values)))
        case _:
            return expression


def _number(text: str, country: str) -> str:
    return text if is_e164(text) else read_phone(text, country) or text


def _beginning(text: str, country: str) -> str:
    if not text.isdigit():
        return text
    trunk, calling_code = _dialling(country)
    if trunk and text.startswith(trunk):
        return f"+{calling_code}{text.removeprefix(trunk)}"
    return f"+{text}" if text.startswith(calling_code) else f"+{calling_code}{text}"


def _dialling(country: str) -> tuple[str, str]:
    """What is said before numbers within a country, which may be nothing, and its calling code."""
    trunk = phonenumbers.ndd_prefix_for_region(country, True) or ""
    return trunk, str(phonenumbers.country_code_for_region(country))
