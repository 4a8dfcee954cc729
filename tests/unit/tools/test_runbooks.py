"""Runbooks: each alert and each fault has its page, in four parts, with commands that there are."""

import importlib
import json
import re
import shlex
from collections.abc import Iterator
from uuid import UUID

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import Default

from libs.client import SERVICES
from libs.common.config import DEFAULT_PORTS
from tests.chaos.plan import Kind
from tests.readme import blocks_of
from tools.paths import ROOT

_PARTS = ["Symptom.", "Means.", "Look.", "Do."]
_CALL = re.compile(r"^call (\d+) ([\w.]+)/(\w+) (.+)$", re.MULTILINE)


def _sections(page: str) -> dict[str, str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


RUNBOOKS = {
    (page, name): text for page in ("alerts.md", "faults.md") for name, text in _sections(page).items()
}


def _calls() -> Iterator[tuple[str, ...]]:
    for text in RUNBOOKS.values():
        yield from _CALL.findall(text)


def test_each_fault_of_chaos_has_its_section() -> None:
    assert list(_sections("faults.md")) == [str(kind) for kind in Kind]


@pytest.mark.parametrize("section", RUNBOOKS, ids=" ".join)
def test_a_section_has_four_parts_and_something_to_look_at(section: tuple[str, str]) -> None:
    text = RUNBOOKS[section]
    assert re.findall(r"^\*\*(\w+\.)\*\*", text, re.MULTILINE) == _PARTS
    look = text[text.index("**Look.**") : text.index("**Do.**")]
    assert blocks_of(look), "no command"


@pytest.mark.parametrize("call", sorted(set(_calls())), ids=lambda call: f"{call[2]} {call[3][:30]}")
def test_what_is_called_is_there_and_takes_what_is_asked(call: tuple[str, ...]) -> None:
    port, service, method, given = call
    package = next(name for name, own in DEFAULT_PORTS.items() if own == int(port))
    assert package in SERVICES
    home, _, name = service.rpartition(".")
    stem = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    importlib.import_module(f"omnijourney.{home}.{stem}_pb2")
    described = Default().FindServiceByName(f"omnijourney.{service}").methods_by_name[method]
    (asked,) = shlex.split(given.replace("$TEAM", str(UUID(int=1))))
    json_format.ParseDict(json.loads(asked), message_factory.GetMessageClass(described.input_type)())
