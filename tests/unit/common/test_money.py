"""Amounts of money."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.money import (
    MICROS_MAX,
    MoneyError,
    decimal_of,
    format_micros,
    is_currency,
    is_known_currency,
    micros_of,
    parse_micros,
)

micros = st.integers(-MICROS_MAX, MICROS_MAX)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.34", 12_340_000),
        ("-5", -5_000_000),
        ("0.000001", 1),
        ("0", 0),
        ("-0.00", 0),
        ("007.5", 7_500_000),
    ],
)
def test_decimal_text_is_read_exactly(text: str, expected: int) -> None:
    assert parse_micros(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "1.",
        ".5",
        "1e3",
        "1,000",
        "0.0000001",
        "NaN",
        "Infinity",
        "--1",
        "１",
        "1\n",
        "9" * 14,
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        parse_micros(text)


def test_amounts_beyond_64_bits_are_refused() -> None:
    assert parse_micros("9223372036854.775807") == MICROS_MAX
    with pytest.raises(MoneyError, match="too large"):
        parse_micros("9223372036854.775808")
    with pytest.raises(MoneyError, match="too large"):
        micros_of(Decimal("1e20"))


@given(micros)
def test_there_and_back_is_the_same(amount: int) -> None:
    assert parse_micros(format_micros(amount)) == amount
    assert micros_of(decimal_of(amount)) == amount


@pytest.mark.parametrize("amount", [Decimal("0.0000001"), Decimal("NaN"), Decimal("-Infinity")])
def test_decimals_that_are_no_amounts_are_refused(amount: Decimal) -> None:
    with pytest.raises(MoneyError):
        micros_of(amount)


@pytest.mark.parametrize(
    ("amount", "digits_min", "text"),
    [
        (12_340_000, 2, "12.34"),
        (12_300_000, 2, "12.30"),
        (5_000_000, 0, "5"),
        (-1, 2, "-0.000001"),
        (0, 2, "0.00"),
    ],
)
def test_amounts_are_written_plainly(amount: int, digits_min: int, text: str) -> None:
    assert format_micros(amount, digits_min) == text


def test_currencies_are_three_capitals() -> None:
    assert is_currency("TWD")
    assert not any(map(is_currency, ("twd", "TW", "TWDX", "", "T1D", "TWD\n")))


def test_what_people_write_for_a_currency_is_not_taken_for_one() -> None:
    assert all(map(is_known_currency, ("TWD", "HKD", "JPY", "USD", "KWD")))
    assert not any(map(is_known_currency, ("NTD", "RMB", "ABC", "twd", "", "US$")))
