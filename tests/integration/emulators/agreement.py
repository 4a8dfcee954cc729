"""Whether what went through an emulator agrees with a channel's own OpenAPI file, and bodies that such files forbid."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    FlatCard,
    ImageCard,
    TextCard,
)
from tests.integration.emulators.conftest import Exchange
from tests.integration.emulators.contracts import Contract

PICTURE: Final = "https://example.com/a.png"
LINK: Final = Button("Shop", ButtonAction.URL, "https://example.com/shop?a=1")
CLAIM: Final = Button("Claim", ButtonAction.POSTBACK, "c=claim")
YES: Final = Button("Yes", ButtonAction.MESSAGE, "yes")
CARDS: Final[Mapping[str, tuple[FlatCard, ...]]] = {
    "text": (TextCard("\U0001f600 你好"),),
    "picture": (ImageCard(PICTURE),),
    "picture with a preview and a caption": (ImageCard(PICTURE, "https://example.com/b.png", "a"),),
    "link": (ButtonCard("Look", (LINK,)),),
    "answers": (ButtonCard("Which?", (CLAIM, YES), title="Hi"),),
    "all under a picture": (ButtonCard("Which?", (LINK, CLAIM, YES), image_url=PICTURE),),
    "links under a picture": (ButtonCard("Look", (LINK,), image_url=PICTURE),),
    "quick replies": (TextCard("Which?", (CLAIM, YES)),),
    "many quick replies": (
        TextCard(
            "Which?",
            tuple(Button(f"No. {n}", ButtonAction.POSTBACK, f"n={n}") for n in range(10)),
            "All of them",
        ),
    ),
    "more than one request": tuple(TextCard(str(number)) for number in range(6)),
}
"""What our adapters write, each kind."""


class Tried:
    """What was tried of one operation, and what its file has against that."""

    def __init__(self) -> None:
        self.requests = self.answers = self.refusals = 0
        """Requests that were taken, answers, and those of them that refused."""
        self.faults: list[str] = []


TRIED: Final[dict[tuple[str, str], Tried]] = {}
"""By channel and operation, of all tests that ran in this process."""
LONG_TEXT: Final = 100_000
"""Characters that no field of a channel holds."""
MANY: Final = 600
"""Items that no list of a channel holds."""


class Mutant(NamedTuple):
    """A body with one change."""

    change: str
    place: str
    body: Any


def mutants(body: Mapping[str, Any]) -> Iterator[Mutant]:
    """The body with each of its fields left out, of another type, or too long."""
    for place in _places(body):
        at = ".".join(str(step) for step in place)
        value = _get(body, place)
        if isinstance(place[-1], str):
            yield Mutant("missing", at, _changed(body, place, lambda parent, key: parent.pop(key)))
        others: tuple[Any, ...] = (
            "text" if isinstance(value, int) else 7,
            [] if isinstance(value, dict) else {},
        )
        for other in others:
            yield Mutant(f"{other!r}", at, _put(body, place, other))
        if isinstance(value, str):
            yield Mutant("long", at, _put(body, place, value + "x" * LONG_TEXT))
        if isinstance(value, list) and value:
            yield Mutant("long", at, _put(body, place, value[:1] * MANY))


def disagreements(
    exchanges: Iterable[Exchange], contract: Contract, path_of: Callable[[Exchange], str], error: str
) -> dict[str, list[str]]:
    """What the file has against requests and answers, by the request; `error` is the schema of all refusals."""
    found: dict[str, list[str]] = {}
    for each in exchanges:
        path = path_of(each)
        faults = [
            f"answer {each.status}: {fault}"
            for fault in contract.answer_faults(each.method, path, each.status, each.answer, error)
        ]
        tried = TRIED.setdefault((each.channel, f"{each.method} {path}"), Tried())
        tried.answers += 1
        tried.refusals += each.status >= 400
        tried.requests += each.status < 400
        if "requestBody" in contract.paths[path][each.method] and each.status == 200:
            faults += contract.request_faults(each.method, path, each.body)
        tried.faults += faults
        if faults:
            found[f"{each.method} {each.path} {each.body}"] = faults
    return found


def operations_of(contract: Contract) -> set[str]:
    """All operations of a file."""
    return {f"{method} {path}" for path, methods in contract.paths.items() for method in methods}


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps: Iterable[Any] = ()
    if isinstance(value, dict):
        steps = value
    elif isinstance(value, list):
        steps = range(len(value))
    for step in steps:
        yield (*before, step)
        yield from _places(value[step], (*before, step))


def _get(value: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        value = value[step]
    return value


def _put(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    return _changed(body, place, lambda parent, key: parent.__setitem__(key, value))


def _changed(body: Any, place: tuple[Any, ...], change: Callable[[Any, Any], Any]) -> Any:
    whole = copy.deepcopy(body)
    change(_get(whole, place[:-1]), place[-1])
    return whole
