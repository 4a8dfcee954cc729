"""Values that programs stumble over: texts, numbers, times, spans, masks."""

import random
from typing import Final

CANARY: Final = "cnry8Q"
"""Stands in texts that are made here: it must never be seen in a log."""

TEXTS: Final = (
    "",
    " ",
    "\0",
    f"{CANARY}\0b",
    "\n",
    "\r\nset-cookie: a=b",
    "\x1b[31m",
    "\x7f",
    "\ufeff",
    "\u202e" + CANARY,  # the rest from right to left
    "\u2066\u2069\u200f",
    "e\u0301",  # two characters that NFC makes one
    "\u0345" * 200,  # 200 combining characters on nothing
    "\ufdfa",  # 18 characters after NFKC
    "\ufdfa" * 100,
    "ﬃ①ﾊﾝｶｸ",
    "ſKÅ",  # other letters after NFKC
    "İı",  # longer after casefold
    "ß" * 100,
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\U0010ffff",
    "\ufffe\uffff",
    "\ue000",
    "\u2028\u2029",
    "'; DROP TABLE fact; --",
    "%_\\",
    "{{customer.name}}{{",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "NaN",
    "-Infinity",
    "1e400",
    "1e-400",
    "0x10",
    "٣",  # a digit, not of ASCII
    "-0",
    "1_000",
    "9" * 400,
    "+886912345678",
    "a@b",
    "@",
    "=1+1",
    '"',
    "null",
    "[" * 200,
    "2024-02-30",
    "0000-01-01",
    "9999-12-31",
    "10000-01-01",
    "2026-13-01",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "{01890000-0000-7000-8000-000000000000}",
    "urn:uuid:01890000-0000-7000-8000-000000000000",
    "01890000000070008000000000000000",
)
SIZES: Final = (101, 201, 501, 1_001, 5_000, 70_000)
"""Characters of long texts: above the bounds of most fields."""
HUGE_SIZES: Final = (300_000, 1_100_000, 3_000_000)
COUNTS: Final = (11, 51, 101, 201, 501, 501, 1_001, 5_001)
"""Items of long lists."""
HUGE_COUNTS: Final = (20_000, 100_000)
DEPTHS: Final = (5, 20, 49, 50, 51, 90, 99, 101, 200, 1_000)
"""Messages within each other; protobuf itself reads 100."""

NUMBERS: Final = (
    0,
    1,
    -1,
    2,
    100,
    1_000,
    2**31 - 1,
    2**31,
    -(2**31),
    2**53,
    2**63 - 1,
    -(2**63),
    10**18,
    10**12 + 1,
)
FLOATS: Final = (0.0, -0.0, 1.5, -1.0, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"))
SECONDS: Final = (
    0,
    1,
    -1,
    -62_135_596_800,  # year 1: what Go and .NET send for none
    -62_135_596_801,
    253_402_300_799,  # the end of 9999
    253_402_300_800,
    253_370_764_800,  # 9999 begins
    -2_208_988_800,  # 1900
    1_767_225_600,
    4_102_444_800,  # 2100
    2**31,
    2**63 - 1,
    -(2**63),
)
NANOS: Final = (0, 0, 1, 999, 999_999_999, 1_000_000_000, -1, -999_999_999, 2**31 - 1, -(2**31))
SPANS: Final = (
    0,
    1,
    -1,
    60,
    86_400,
    31_622_400,
    315_576_000_000,
    315_576_000_001,
    -315_576_000_001,
    2**63 - 1,
    -(2**63),
)
ENUMS: Final = (-1, 0, 99, 999, 2**31 - 1, -(2**31), 65_536, 32_768)
MASKS: Final = (
    "*",
    "",
    "no_such_field",
    "name.name",
    "team_id",
    "etag",
    "settings.no",
    "a" * 300,
    "naïve",
    "name,name",
    "__class__",
)


def text(rng: random.Random) -> str:
    """Any text that can be sent as one."""
    kind = rng.random()
    if kind < 0.55:
        return rng.choice(TEXTS)
    if kind < 0.75:
        return rng.choice(("a", "é", "中", "\U0001f600", "\u0301", "ﬃ")) * rng.choice(SIZES)
    if kind < 0.78:
        return rng.choice(("a", "中", "\ufdfa", "\u0301")) * rng.choice(HUGE_SIZES)
    return CANARY + "".join(chr(_point(rng)) for _ in range(rng.randint(1, 40)))


def number(rng: random.Random, low: int, high: int) -> int:
    """An edge within what the wire's type holds."""
    fitting = [value for value in NUMBERS if low <= value <= high]
    return rng.choice(fitting) if rng.random() < 0.8 else rng.randint(low, high)


def _point(rng: random.Random) -> int:
    """Of any character but the surrogates."""
    while True:
        point = rng.choice((rng.randint(0, 0x7F), rng.randint(0x80, 0xFFFF), rng.randint(0x10000, 0x10FFFF)))
        if not 0xD800 <= point <= 0xDFFF:
            return point
