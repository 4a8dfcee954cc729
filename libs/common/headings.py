"""What people call the columns of their files of customers, in both languages, wherever such files are read (S-06e)."""

from collections.abc import Mapping
from typing import Final

from libs.common.text import as_key, fold

HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "member_id": (
        "Member ID",
        "Member No",
        "Member Number",
        "Membership ID",
        "會員編號",
        "會員 ID",
        "會員號碼",
        "會員代號",
        "會員卡號",
    ),
    "name": ("Name", "Full Name", "Customer Name", "姓名", "名稱", "顧客姓名", "客戶姓名", "會員姓名"),
    "phone": (
        "Phone",
        "Phone Number",
        "Phone No",
        "Mobile",
        "Mobile Phone",
        "Mobile Number",
        "電話",
        "手機",
        "手機號碼",
        "手機號",
        "電話號碼",
        "行動電話",
        "聯絡電話",
    ),
    "email": ("Email", "E-mail", "Email Address", "電子郵件", "電子信箱", "電子郵件信箱", "信箱", "電郵"),
    "external_id": (
        "Channel ID",
        "External ID",
        "User ID",
        "LINE User ID",
        "WhatsApp",
        "WhatsApp Number",
        "社群 ID",
        "WhatsApp 號碼",
    ),
    "tags": ("Tags", "Tag", "標籤"),
    "points": ("Point Balance", "點數餘額", "點數"),
}
"""Field → what people call its column; the first is how a sample names it."""


def letters(heading: str) -> str:
    """A heading's letters and digits alone: `Member_ID`, `member-id` and `＊Member ID` differ in signs that people put
    there or leave away. Empty for one that has none."""
    return "".join(filter(str.isalnum, fold(heading)))


_NAMED: Final = {fold(name): field for field, names in HEADINGS.items() for name in names}
_NAMED.update((field, field) for field in HEADINGS if field != "points")
"""A column `points` may hold anything: balances of another programme, say, which nobody wants to be given."""
_MEANT: Final = {letters(name): field for name, field in _NAMED.items()}


def field_named(heading: str) -> str:
    """The field, a key of `HEADINGS`, whose column is called just so, but for the form of letters; empty: none's."""
    return _NAMED.get(fold(as_key(heading)), "")


def field_meant(heading: str) -> str:
    """The same by `letters`."""
    return _MEANT.get(letters(heading), "")
