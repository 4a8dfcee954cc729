"""What outlives a release: bytes in tables, mailboxes and callers' hands, and what follows from what they name.

A form is kept in `kept/<name>.json`, label by label, the oldest first. Two kinds:

- *stored*: read back. What any release wrote has to be read by every later one.
- *derived*: a key, digest or hash that is only ever compared. It cannot have a second form: what stands under the old
  one would not be found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "kept"


class Stored(NamedTuple):
    """`values`: an example of everything that the form can hold, by label."""

    values: Mapping[str, Any]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


class Derived(NamedTuple):
    """`values`: what follows, by a label that says from what."""

    values: Mapping[str, bytes]


def kept(name: str) -> dict[str, list[bytes]]:
    """Every form that a release wrote, by label, the oldest first; none of a name that has no file."""
    file = FOLDER / f"{name}.json"
    if not file.exists():
        return {}
    found: dict[str, list[str]] = json.loads(file.read_text(encoding="utf-8"))
    return {label: [bytes.fromhex(each) for each in forms] for label, forms in found.items()}


def written(form: Stored | Derived) -> dict[str, bytes]:
    """What the present code writes, by label."""
    if isinstance(form, Derived):
        return dict(form.values)
    return {label: form.encode(value) for label, value in form.values.items()}


def keep(name: str, form: Stored | Derived) -> int:
    """Adds what the present code writes beside what is kept; how many forms are new. Nothing is ever taken away."""
    forms, new = kept(name), 0
    for label, data in written(form).items():
        known = forms.setdefault(label, [])
        if data not in known:
            known.append(data)
            new += 1
    if new:
        text = {label: [each.hex() for each in known] for label, known in forms.items()}
        (FOLDER / f"{name}.json").write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    return new
