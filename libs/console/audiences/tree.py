"""Conditions and groups of them within each other: an audience, the fields of a form, and what its buttons change."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError

from libs.console.audiences.conditions import (
    Attributes,
    Condition,
    condition_of,
    input_of,
    operators_of,
    predicate_of,
)
from omnijourney.segment.v1 import audience_pb2 as pb

ROOT: Final = "a"
"""Name of the outermost group; what is in it is `a-0`, `a-1`, in the first of these `a-0-0`; fields: `a-0-subject`."""
ITEMS_MAX: Final = 150
DEPTH_MAX: Final = 8
_FIELD: Final = re.compile(r"(a(?:-\d{1,3}){0,9})-([a-z]+)")


@dataclass(slots=True)
class Item:
    """A group, or one condition."""

    kind: str = "one"
    """`group`, `one`, or `kept`: what the form cannot show is carried along."""
    negated: bool = False
    joined: str = "all"
    """Of a group: whether `all` have to hold, or `any`."""
    items: list[Item] = field(default_factory=list)
    condition: Condition = field(default_factory=Condition)
    content: str = ""
    """What is kept, as text."""


@dataclass(slots=True)
class Written:
    """What a form says."""

    audience: pb.Audience
    """Without the conditions that are about nothing yet."""
    names: dict[str, str]
    """Fields of the form by the paths of the audience that they wrote."""
    wrong: list[tuple[str, str]]
    """Fields and what is wrong with them, to translate."""


def tree_of(audience: pb.Audience, attributes: Attributes) -> Item:
    """As a group, with an empty condition where nothing is asked."""
    root = _item(audience, attributes) if audience.WhichOneof("expression") else Item()
    return root if root.kind == "group" else Item("group", items=[root])


def _item(audience: pb.Audience, attributes: Attributes) -> Item:
    kind = audience.WhichOneof("expression")
    if kind == "negation":
        inner = _item(audience.negation, attributes)
        if inner.negated or inner.kind == "kept":
            inner = Item("group", items=[inner])
        inner.negated = True
        return inner
    if kind in {"all_of", "any_of"}:
        listed = audience.all_of if kind == "all_of" else audience.any_of
        items = [_item(each, attributes) for each in listed.items]
        return Item("group", joined="any" if kind == "any_of" else "all", items=items)
    condition = condition_of(audience, attributes)
    if condition is None:
        return Item("kept", content=base64.b64encode(audience.SerializeToString()).decode())
    return Item(condition=condition)


def read_tree(fields: Mapping[str, object], attributes: Attributes) -> Item | None:
    """Of a form; None where it has none."""
    by_path: dict[str, dict[str, str]] = {}
    for name, value in fields.items():
        match = _FIELD.fullmatch(name)
        if match is not None and isinstance(value, str):
            by_path.setdefault(match[1], {}).setdefault(match[2], value)
    if ROOT not in by_path:
        return None
    places: dict[str, list[int]] = {}
    for path in list(by_path)[:ITEMS_MAX]:
        above, _, place = path.rpartition("-")
        if above:
            places.setdefault(above, []).append(int(place))
    return _read(ROOT, by_path, places, attributes)


def _read(
    path: str,
    by_path: Mapping[str, Mapping[str, str]],
    places: Mapping[str, list[int]],
    attributes: Attributes,
) -> Item:
    given = by_path[path]
    negated = given.get("negated") == "1"
    if given.get("kind") == "kept":
        return Item("kept", content=given.get("content", ""))
    if given.get("kind") == "group" or path == ROOT:
        inside = [
            _read(f"{path}-{place}", by_path, places, attributes) for place in sorted(places.get(path, ()))
        ]
        return Item("group", negated, "any" if given.get("joined") == "any" else "all", inside)
    condition = Condition(*(given.get(name, "") for name in ("subject", "operator", "value", "upper")))
    known = [value for value, _ in operators_of(condition.subject, attributes)]
    if condition.operator not in known:
        condition.operator = known[0] if known else ""
    if given.get("drawn", "") != input_of(condition, attributes):
        condition.value = condition.upper = ""  # what was typed was the value of something else
    return Item("one", negated, condition=condition)


def is_changed_by(root: Item, action: str) -> bool:
    """Adds or takes away what a button asks for, `one-a-0`, `group-a` or `remove-a-1`; whether there is something to
    draw anew."""
    verb, _, path = action.partition("-")
    if verb in {"refresh", "count"}:
        return True
    if verb not in {"one", "group", "remove"} or not path:
        return False
    try:
        steps = [int(step) for step in path.split("-")[1:]]
        above = root
        for step in steps[: -1 if verb == "remove" else None]:
            above = above.items[step]
        if verb == "remove":
            del above.items[steps[-1]]
        elif above.kind == "group" and len(steps) < DEPTH_MAX - 1 and _count(root) < ITEMS_MAX:
            above.items.append(Item() if verb == "one" else Item("group", joined="any", items=[Item()]))
    except (ValueError, IndexError):
        pass  # of a page that is older than what is there
    return True


def _count(item: Item) -> int:
    return 1 + sum(map(_count, item.items))


def written(root: Item, attributes: Attributes) -> Written:
    """What the form says. A group of one that is not negated is that one."""
    whole = Written(pb.Audience(), {}, [])
    filled = list(_filled(root))
    if len(filled) == 1 and not root.negated:
        ((place, only),) = filled
        whole.audience = _write(only, f"{ROOT}-{place}", "", whole, attributes)
    elif filled:
        whole.audience = _write(root, ROOT, "", whole, attributes)
    return whole


def _filled(group: Item) -> Iterator[tuple[int, Item]]:
    """Of a group what is about something, each with its place in the form."""
    for place, item in enumerate(group.items):
        if item.kind == "kept" or item.condition.subject or any(_filled(item)):
            yield place, item


def _write(item: Item, name: str, path: str, whole: Written, attributes: Attributes) -> pb.Audience:
    inside = f"{path}.negation" if item.negated else path
    if item.kind == "group":
        one = pb.Audience()
        listed = one.any_of if item.joined == "any" else one.all_of
        listed.SetInParent()
        here = f"{inside}.{item.joined}_of.items"
        whole.names[path.removeprefix(".")] = f"{name}-joined"
        for index, (place, each) in enumerate(_filled(item)):
            listed.items.append(_write(each, f"{name}-{place}", f"{here}[{index}]", whole, attributes))
    elif item.kind == "kept":
        one = _unpacked(item.content)
        whole.names[path.removeprefix(".")] = f"{name}-content"
    else:
        one, wrong = predicate_of(item.condition, attributes)
        whole.names[path.removeprefix(".")] = f"{name}-value"
        if wrong:
            whole.wrong.append((f"{name}-value", wrong))
    return pb.Audience(negation=one) if item.negated else one


def _unpacked(content: str) -> pb.Audience:
    try:
        return pb.Audience.FromString(base64.b64decode(content, validate=True))
    except (binascii.Error, DecodeError, ValueError):
        return pb.Audience()
