"""The one grammar of variables in texts that customers get: what is filled in, and what only looks as if it were.

    text     = { plain | variable }
    variable = "{{" name [ "|" default ] "}}"
    name     = one of those that the text may hold, or "attribute." and the key of an attribute,
               or "trigger." and a key of the data with which the API enrolled the customer
    default  = what stands there where there is no value: no braces, no further "|"

Blanks around a name and a default do not count. Whatever else has the look of a placeholder, of this grammar or of
that of another product, is a fault: it would be sent as it stands. Where a text is filled in all the same (it was
stored before it was checked), a variable that does not exist has no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple

from libs.common.audience.values import KEY
from libs.common.kept_by_size import kept_by_size

CUSTOMER_NAME: Final = "customer.name"
BALANCE: Final = "points.balance"
CUMULATIVE: Final = "points.cumulative"
ATTRIBUTE: Final = "attribute."
TRIGGER: Final = "trigger."
POINTS: Final = "points."
PLAIN: Final = frozenset({CUSTOMER_NAME, BALANCE, CUMULATIVE})
"""Names of all variables but those of attributes and of triggers' data."""

TEXTS_KEPT: Final = 1_024
"""Texts whose parts are kept, of some kilobytes each at most: those of content, which are filled in often."""
_FOUND_MAX: Final = 40
_FAULTS_MAX: Final = 5
"""Told of one text: who has so many has seen enough."""

_VARIABLE: Final = re.compile(r"\{\{([^{}]*)\}\}")
_NAME: Final = r"[^\W\d_][\w.\-]{0,60}(?:[^\S\n]{1,5}[\w.\-]{1,60}){0,3}"
_FOREIGN: Final = re.compile(
    rf"""
      [$\#@!%]\{{[^{{}}\n]{{0,60}}\}}              # ${{name}} #{{name}} @{{name}} %{{name}}
    | \{{%[^\n]{{0,200}}?%\}}                      # {{% if vip %}}
    | <%[^\n]{{0,200}}?%>                          # <%= name %>
    | \*\|[^|\n]{{1,60}}\|\*                       # *|FNAME|*
    | \{{[^\S\n]{{0,5}}[!\#/>&^~=]?[^\S\n]{{0,5}}   # {{name}} {{0}} {{}}
      (?:{_NAME}|\d{{1,3}}|)(?:[|,:.\[(][^{{}}\n]{{0,60}})?[^\S\n]{{0,5}}\}}
    | \[\[[^\S\n]{{0,5}}{_NAME}[^\S\n]{{0,5}}\]\]              # [[name]]
    | ｛｛[^｛｝\n]{{0,60}}｝｝                       # full-width braces
    | %\([^\W\d][\w.]*\)[sd]                       # %(name)s
    | (?<![\w%])(?P<percent>%%?)                   # %name%, and no octets of an address
      (?![0-9A-Fa-f]{{2}}(?:\W|[0-9A-Fa-f]*%[0-9A-Fa-f]{{2}}))[^\W\d_][\w.]*(?P=percent)(?!\w)
    """,
    re.VERBOSE,
)
_FILTER: Final = re.compile(
    r"""capitali[sz]e|date|default|downcase|e|escape|first|h|json|last|length|lower(case)?|[lr]?strip|nl2br|raw|round|safe
    |size|striptags|title(case)?|trim|truncate|ucfirst|upcase|upper(case)?|url_?encode""",
    re.IGNORECASE | re.VERBOSE,
)
_CALL: Final = re.compile(r"[a-z_]+[^\S\n]*(?:\(.*\)|:[^\S\n]*[\"'“‘].*)", re.IGNORECASE)


class Variable(NamedTuple):
    """A place in a text that is filled in."""

    name: str
    default: str


class Fault(NamedTuple):
    """Something in a text that looks like a variable and is none."""

    found: str
    """As it stands there, cut where it is long."""
    why: str

    @property
    def message(self) -> str:
        """A sentence for people."""
        return f"{self.found!r}: {self.why}"


@kept_by_size(len, small_kept=TEXTS_KEPT)
def parts_of(text: str) -> tuple[str | Variable, ...]:
    """The text as it is filled in: what stays as it is, and variables, known or not."""
    parts: list[str | Variable] = []
    for index, part in enumerate(_VARIABLE.split(text)):
        if index % 2:
            name, _, default = part.partition("|")
            parts.append(Variable(name.strip(), default.strip()))
        elif part:
            parts.append(part)
    return tuple(parts)


def fill(text: str, value_of: Callable[[str], str | None]) -> str:
    """`text` with its variables replaced: by the value, which is empty where there is none, else the default."""
    if "{{" not in text:
        return text
    return "".join(
        part if isinstance(part, str) else value_of(part.name) or part.default for part in parts_of(text)
    )


def names_in(text: str) -> Iterator[str]:
    """Names of the variables in a text."""
    if "{{" in text:
        yield from (part.name for part in parts_of(text) if isinstance(part, Variable))


def attribute_key(name: str) -> str:
    """The key of the attribute that a variable's name stands for; empty if it stands for none."""
    return _key_behind(ATTRIBUTE, name)


def trigger_key(name: str) -> str:
    """The key of a trigger's data that a variable's name stands for; empty if it stands for none."""
    return _key_behind(TRIGGER, name)


def _key_behind(kind: str, name: str) -> str:
    key = name.removeprefix(kind)
    return key if key != name and KEY.fullmatch(key) else ""


def is_known(name: str) -> bool:
    """Whether a variable of this name has, or may have, a value."""
    return name in PLAIN or bool(attribute_key(name) or trigger_key(name))


def faults_in(text: str, allowed: Collection[str] | None = None) -> list[Fault]:
    """Everything in a text that would reach people as it stands, or as nothing, though it was meant to be filled in.

    `allowed` are the names that this text may hold; None: all that there are.
    """
    faults = [
        fault for match in _VARIABLE.finditer(text) if (fault := _variable_fault(match, allowed)) is not None
    ]
    # Each variable leaves a mark, so that what stands before and after it is no word.
    rest = _VARIABLE.sub("\0", text)
    if "{{" in rest or "}}" in rest:
        faults += [
            Fault(_cut(found), "is not closed, or not opened: write {{customer.name}}")
            for found in re.findall(r"\{\{.{0,20}|.{0,20}\}\}", rest.replace("\0", "…"), re.DOTALL)
        ]
    elif "\0" in rest and re.search(r"\{\0|\0\}", rest):
        faults.append(Fault("{{{", "has a brace too many: write {{customer.name}}"))
    faults += [
        Fault(
            _cut(match[0]),
            "is not filled in: write {{customer.name}}, {{attribute.KEY}}, {{trigger.KEY}} or {{points.balance}}",
        )
        for match in _FOREIGN.finditer(rest)
    ]
    return faults[:_FAULTS_MAX]


def _variable_fault(match: re.Match[str], allowed: Collection[str] | None) -> Fault | None:
    name, bar, default = (part.strip() for part in match[1].partition("|"))
    known = is_known(name) if allowed is None else name in allowed
    found = _cut(match[0])
    if allowed is not None and not allowed:
        return Fault(found, "variables are not filled in here")
    if not known:
        names = ", ".join(sorted(PLAIN if allowed is None else allowed))
        more = ", attribute.KEY and trigger.KEY" if allowed is None else ""
        return Fault(found, f"there is no such variable here; there is {names}{more}")
    if not bar:
        return None
    if "|" in default or _FILTER.fullmatch(default) or _CALL.fullmatch(default):
        return Fault(
            found, "what follows the bar is the text for customers without a value: there are no filters"
        )
    return None


def _cut(found: str) -> str:
    return found if len(found) <= _FOUND_MAX else f"{found[:_FOUND_MAX]}…"
