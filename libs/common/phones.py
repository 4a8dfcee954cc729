"""Phone numbers as people write them, read as people of one country would read them; kept as E.164 (S-01c).

Used at every door: webhooks of shops, RPCs, files of an import.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib import resources
from typing import Final

import phonenumbers

from libs.common.text import UNSEEN

TEXT_LENGTH_MAX: Final = 64
"""Longer texts are no numbers."""
E164: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
COUNTRIES: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""ISO 3166-1 alpha-2 codes whose forms of writing are known."""

_KEPT_MAX: Final = 65_536
_CALLING_CODES: Final = frozenset(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
_CALLING_CODE_DIGITS_MAX: Final = 3
_DASHES: Final = dict.fromkeys(
    map(ord, "_\u00b7\u2010\u2011\u2012\u2013\u2014\u2015\u2022\u2027\u2212\u30fb\u30fc\ufe63\uff0d"), "-"
)
"""And other marks that people put between digits."""
_QUOTES: Final = "'\"`\u00b4\u2018\u2019\u201c\u201d"
_FRACTION: Final = re.compile(r"(?<=[0-9]{6})\.0+$", re.ASCII)
"""What programs add that take a column of numbers for measures."""
_MEASURE: Final = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]{1,3}", re.ASCII | re.IGNORECASE)
"""What they make of it, cut for good: 8.86912E+11."""
_LABELS: Final = re.compile(r"(?:tel|phone|whatsapp)\s*:\s*", re.ASCII | re.IGNORECASE)
_ACCOUNTS: Final = re.compile(r"@(?:c\.us|s\.whatsapp\.net)$", re.IGNORECASE)
"""What tools on WhatsApp write behind the digits."""
# Numbers that are copied from an address book or a spreadsheet come with marks that nobody sees, or with an apostrophe.
_WRITTEN: Final = re.compile(r"\+?[0-9 ().\-/]*[0-9][0-9 ().\-/]*", re.ASCII)
_NO_DIGITS: Final = re.compile(r"[^0-9]+", re.ASCII)
_SPELLED_TWICE: Final = ("+521", "+54", "+55")
_OLD_SPELLINGS: Final = ("+521", "+55")
"""Those that the library takes for no numbers."""
_LOCAL_MEXICO: Final = re.compile(r"0(?:1|44|45)([2-9][0-9]{9})", re.ASCII)
"""As calls were made within the country until 2019."""
_MEXICO: Final = re.compile(r"\+521([2-9][0-9]{9})", re.ASCII)
_BRAZIL: Final = re.compile(r"\+55([1-9][1-9])([6-9][0-9]{7})", re.ASCII)
_ARGENTINA: Final = re.compile(r"\+54[1-8][0-9]{11}", re.ASCII)
"""Twelve digits: an area code, 15, and the number."""
_FORMAT: Final = phonenumbers.PhoneNumberFormat.E164


@lru_cache(_KEPT_MAX)
def read_phone(text: str, country: str) -> str | None:
    """The number in E.164, or None where it cannot be told what was meant.

    `country`: ISO 3166-1 alpha-2, whose local form is read; empty where none is known, then only international forms
    (`+886…`, `00886…`) are. A text in E.164 stays as it is, whatever numbers its country gives out today; but for the
    second spellings that mobile numbers of Argentina, Brazil and Mexico have.
    """
    number = _read(text, country)
    return number if number is None or not number.startswith(_SPELLED_TWICE) else _one_spelling(number)


@lru_cache(_KEPT_MAX)
def phone_of_whatsapp(external_id: str) -> str | None:
    """The phone number of who is known on WhatsApp by a number (P-03b); None for an id that is no number."""
    text = f"+{external_id}"
    return read_phone(text, "") if is_e164(text) else None


def is_whatsapp_id(text: str) -> bool:
    """Whether it is written as WhatsApp itself names a number: digits, from the calling code on."""
    return text.isascii() and text.isdigit() and not text.startswith("0")


def whatsapp_id(text: str, country: str) -> str | None:
    """The digits by which WhatsApp knows a number, written in any of the ways that `read_phone` reads; a text that is
    no number (an id of WhatsApp's own, `US.134912`) as it is. None: it is a number, and cannot be told which."""
    if is_whatsapp_id(text):
        return text
    text = _ACCOUNTS.sub("", text)
    if is_whatsapp_id(text):
        return text
    number = text if is_e164(text) else read_phone(text, country)
    if number is not None:
        return number.removeprefix("+")
    return None if _written(text) is not None or _MEASURE.fullmatch(text) else text


def digits_of(text: str) -> str | None:
    """A number or a part of one without what people write between its digits, with its plus; None for other texts."""
    written = _written(text)
    if written is None:
        return None
    return ("+" if written.startswith("+") else "") + _NO_DIGITS.sub("", written)


def _read(text: str, country: str) -> str | None:
    if is_e164(text):
        return text
    if len(text) > TEXT_LENGTH_MAX:
        return None
    written = _written(text)
    if written is None:
        return None
    if written.startswith("+"):
        return _international(written, possible=True)
    return _local(written, country) or _from_abroad(written)


def is_e164(text: str) -> bool:
    """Whether it has the form, and no trunk zero behind a calling code that has none: +886 0912… is written so, too."""
    if E164.fullmatch(text) is None:
        return False
    for digits in range(1, _CALLING_CODE_DIGITS_MAX + 1):
        if int(text[1 : digits + 1]) in _CALLING_CODES:
            return text[digits + 1] != "0"
    return False


def _one_spelling(number: str) -> str:
    """As its country writes it today: WhatsApp keeps Mexico's 1 and leaves Brazil's ninth digit out for those who came
    before the change, and Argentina's mobile numbers are said with 15 within the country, with 9 from outside."""
    if found := _MEXICO.fullmatch(number):
        return f"+52{found[1]}"
    if found := _BRAZIL.fullmatch(number):
        return f"+55{found[1]}9{found[2]}"
    if _ARGENTINA.fullmatch(number):
        return _international(number, possible=False) or number
    return number


def country_of_zone(zone: str) -> str:
    """The country that an IANA time zone is of; empty for zones of none (UTC) and of several."""
    return _countries_of_zones().get(zone, "")


def _written(text: str) -> str | None:
    plain = unicodedata.normalize("NFKC", text.translate(UNSEEN)).translate(_DASHES)
    plain = _FRACTION.sub("", plain.strip().strip(_QUOTES).strip())
    if found := _LABELS.match(plain):
        plain = plain[found.end() :]
    if not plain.isascii():
        plain = "".join(str(unicodedata.decimal(each, each)) for each in plain)
    return plain if _WRITTEN.fullmatch(plain) else None


def _international(written: str, *, possible: bool) -> str | None:
    digits = f"+{_NO_DIGITS.sub('', written)}"
    number = _parsed(_one_spelling(digits) if digits.startswith(_OLD_SPELLINGS) else written, None)
    if number is None:
        return None
    good = phonenumbers.is_possible_number(number) if possible else phonenumbers.is_valid_number(number)
    return _e164(number) if good else None


def _local(written: str, country: str) -> str | None:
    if not country:
        return None
    if country == "MX" and (found := _LOCAL_MEXICO.fullmatch(_NO_DIGITS.sub("", written))):
        written = found[1]
    number = _parsed(written, country)
    if number is None:
        return None
    if phonenumbers.is_valid_number(number):
        return _e164(number)
    # Mobile numbers of Brazil without their ninth digit are none any more, and are written still.
    old = f"+{number.country_code}{number.national_number}"
    return _international(old, possible=False) if old.startswith(_OLD_SPELLINGS) else None


def _from_abroad(written: str) -> str | None:
    """With 00 for the plus, or with nothing, as WhatsApp and spreadsheets write international numbers."""
    if written.startswith("00"):
        return _international(f"+{written[2:].strip()}", possible=True)
    if written.lstrip("( ").startswith("0"):
        return None
    return _international(f"+{written}", possible=False)


def _parsed(written: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        return None


def _e164(number: phonenumbers.PhoneNumber) -> str | None:
    text = phonenumbers.format_number(number, _FORMAT)
    return text if E164.fullmatch(text) else None


@lru_cache(1)
def _countries_of_zones() -> dict[str, str]:
    table = resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {row[2]: row[0] for row in rows}
