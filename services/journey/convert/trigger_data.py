"""The data that a trigger of the API brings, as they come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.common.audience.values import KEY
from libs.common.rpc.fields import FieldCheck
from services.journey.domain.memory import data_size

KEYS_MAX: Final = 20
VALUE_LENGTH_MAX: Final = 1_000
"""Characters of a value."""
DATA_BYTES_MAX: Final = 24_576
"""Of UTF-8, keys and values together: they go with mail, with the enrolment, and with each of its messages."""
_SHOWN_MAX: Final = 64
"""Characters of a faulty key that are shown."""


def trigger_data_of(check: FieldCheck, data: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The data of a trigger, ordered by key."""
    if len(data) > KEYS_MAX:
        check.fault("data", f"has {len(data)} keys: at most {KEYS_MAX}")
        return ()
    for key, value in data.items():
        path = f'data["{key[:_SHOWN_MAX]}"]'
        if not KEY.fullmatch(key):
            check.fault(path, "is no key: write a letter, then letters, digits and _, 64 characters at most")
        if len(value) > VALUE_LENGTH_MAX:
            check.fault(path, f"has {len(value)} characters: at most {VALUE_LENGTH_MAX}")
        if "\0" in value:
            check.fault(path, "must not hold U+0000: take it out")
    size = data_size(data)
    if size > DATA_BYTES_MAX:
        check.fault("data", f"has {size} bytes of UTF-8, keys and values together: at most {DATA_BYTES_MAX}")
    return tuple(sorted(data.items()))
