"""Definitions as texts: how they look, and every fault with its line and path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import ParseDict
from jsonschema import Draft202012Validator

import services.journey
from libs.common.errors import InvalidArgument
from libs.common.rpc.comments import comments
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert.definition_changes import changes
from services.journey.convert.definition_schema import schema_text
from services.journey.convert.definition_texts import TEXT_BYTES_MAX, Text, write
from services.journey.domain.names import NamedKind, NamedThing, Names

YAML, JSON = pb.TEXT_FORMAT_YAML, pb.TEXT_FORMAT_JSON
LINE_ID, MODULE_ID, WHATSAPP_ID, TEMPLATE_ID, TWIN_ID = (
    f"0000000{n}-0000-7000-8000-000000000000" for n in range(5)
)
NAMES = Names(
    [
        NamedThing(NamedKind.ACCOUNT, LINE_ID, "Shop", "1"),
        NamedThing(NamedKind.ACCOUNT, WHATSAPP_ID, "Shop", "2"),
        NamedThing(NamedKind.BOT_MODULE, MODULE_ID, "歡迎 card"),
        NamedThing(NamedKind.TEMPLATE, TEMPLATE_ID, "order_review/zh_TW", WHATSAPP_ID),
        NamedThing(NamedKind.TEMPLATE, TWIN_ID, "order_review/zh_TW", LINE_ID),
    ]
)
WELCOME = """\
name: Welcome
enrolments_per_customer_max: 1
trigger:
  checkout_completed:
    amount:
      at_least: 1000.50 TWD
targets:
- channel: LINE
  account: Shop
- channel: WHATSAPP
  account: Shop
nodes:
- node_id: pause
  next_node_id: big
  delay:
    delay: 1d12h
- node_id: big
  condition:
    audience:
      points:
        figure: BALANCE
        operator: GREATER
        value: 5
    "yes":
      node_id: hello
    "no":
      end: {}
- node_id: hello
  next_node_id: review
  message:
    channel: LINE
    bot_module: 歡迎 card
- node_id: review
  message:
    channel: WHATSAPP
    template:
      template: "order_review/zh_TW"
      parameters:
      - "{{customer.name|you}}"
"""


def faults(text: str, text_format: int = YAML) -> dict[str, str]:
    """Path and description of everything that is wrong."""
    with pytest.raises(InvalidArgument) as caught:
        Text(text, text_format).definition(NAMES)
    return {fault.field: fault.description for fault in caught.value.violations}


def plain(text: str) -> str:
    """With quotes only where `write` sets them."""
    return text.replace('"order_review/zh_TW"', "order_review/zh_TW")


@pytest.mark.rule("J-42a")
def test_a_text_names_things_and_writes_values_as_people_do() -> None:
    definition = Text(WELCOME, YAML).message(NAMES)
    assert [target.account_id for target in definition.targets] == [LINE_ID, WHATSAPP_ID]
    assert definition.nodes[0].delay.delay.seconds == 36 * 3600
    assert definition.nodes[2].message.bot_module_id == MODULE_ID
    assert definition.nodes[3].message.template.template_id == TEMPLATE_ID
    amount = definition.trigger.checkout_completed.amount.at_least
    assert (amount.currency_code, amount.amount_micros) == ("TWD", 1_000_500_000)
    assert write(definition, YAML, NAMES) == plain(WELCOME).replace("1000.50", "1000.5")
    assert Text(write(definition, JSON, NAMES), JSON).message(NAMES) == definition


def test_what_has_no_name_of_its_own_goes_by_its_id() -> None:
    definition = Text(WELCOME, YAML).message(NAMES)
    twins = Names([NamedThing(NamedKind.BOT_MODULE, each, "Hi") for each in (MODULE_ID, TWIN_ID)])
    text = write(definition, YAML, twins)
    assert f'bot_module_id: "{MODULE_ID}"' in text
    assert f'account_id: "{LINE_ID}"' in text
    assert Text(text, YAML).message(twins) == definition


def test_plain_words_are_what_their_field_is() -> None:
    text = "name: no\ntrigger:\n  tag_applied:\n    tags: [yes, 1_000, 0x1F, 2026-01-01, 1.50]\n"
    definition = Text(text, YAML).message(NAMES)
    assert definition.name == "no"
    assert list(definition.trigger.tag_applied.tags) == ["yes", "1_000", "0x1F", "2026-01-01", "1.50"]


def test_a_key_with_nothing_behind_it_is_empty() -> None:
    text = "name: N\ntrigger:\n  contact_added:\n"
    assert Text(text, YAML).message(NAMES).trigger.WhichOneof("kind") == "contact_added"
    assert Text('{"name": "N", "trigger": {"system": null}}', JSON).message(NAMES).trigger.HasField("system")


FAULTS: dict[str, tuple[str, dict[str, str]]] = {
    "a key that is not known": (
        "name: N\nnodes:\n- node_id: a\n  delay:\n    dely: 1d\n",
        {"nodes[0].delay.dely": "line 5: is not known here; is delay meant?"},
    ),
    "a name that nothing has": (
        "name: N\ntargets:\n- channel: LINE\n  account: Shpo\n",
        {"targets[0].account_id": "line 4: there is no account 'Shpo' on LINE"},
    ),
    "an account without channel": (
        "name: N\ntargets:\n- account: Shop\n",
        {"targets[0].account_id": "line 3: there is no account 'Shop', since no channel is given beside it"},
    ),
    "a span that is none": (
        "name: N\nnodes:\n- node_id: a\n  delay:\n    delay: 3 days\n",
        {"nodes[0].delay.delay": "line 5: must be a span such as 90m, 1d12h or 30s"},
    ),
    "a value that its enum has not": (
        "name: N\ntargets:\n- channel: line\n",
        {"targets[0].channel": "line 3: must be one of LINE, WHATSAPP, MESSENGER, INSTAGRAM"},
    ),
    "two kinds of one node": (
        "name: N\nnodes:\n- node_id: a\n  delay:\n  points:\n    add: 5\n",
        {"nodes[0].points": "line 5: cannot stand beside delay: one of them is chosen"},
    ),
    "a name and an id": (
        f"name: N\ntargets:\n- channel: LINE\n  account: Shop\n  account_id: {LINE_ID}\n",
        {"targets[0].account_id": "line 5: account_id says the same as line 4: keep one"},
    ),
    "a mapping in place of a list": (
        "name: N\nnodes:\n  a:\n    node_id: a\n",
        {"nodes": "line 3: must be a list"},
    ),
    "a list in place of a value": ("name: [N]\n", {"name": "line 1: must be a single value"}),
    "a value that is not there": (
        "name: N\ntrigger:\n  tag_applied:\n    tags:\n    - a\n    -\n",
        {"trigger.tag_applied.tags[1]": 'line 6: has no value: leave it out, or write ""'},
    ),
    "a number that is none": (
        "name: N\nenrolments_per_customer_max: 1.5\n",
        {"enrolments_per_customer_max": "line 2: must be a whole number below 2^31"},
    ),
    "a time without zone": (
        "name: N\nschedule:\n  start_time: 2026-03-01T09:00:00\n",
        {
            "schedule.start_time": "line 3: must be a time with its zone, such as 2026-03-01T09:00:00+08:00",
        },
    ),
    "a zone further off than there is": (
        "name: N\nschedule: {start_time: 2026-03-01T09:00:00+25:00, end_time: 2026-03-01T09:00:00-08:60}\n",
        {
            f"schedule.{field}": "line 2: must be a time with its zone, such as 2026-03-01T09:00:00+08:00"
            for field in ("start_time", "end_time")
        },
    ),
    "what the contract bounds": (
        f"name: N\ntrigger:\n  tag_applied:\n    tags: [{', '.join('t' for _ in range(101))}]\n",
        {"trigger.tag_applied.tags": "line 4: must contain no more than 100 item(s)"},
    ),
    "an id that is none": (
        "name: N\ntargets:\n- channel: LINE\n  account_id: x\n",
        {"targets[0].account_id": "line 4: must be a UUID"},
    ),
    "no name": ("nodes: []\n", {"name": "line 1: is required"}),
    "what is said twice": (
        "name: N\nname: M\n",
        {"content": "line 2: 'name' stands here twice; first in line 1"},
    ),
    "an alias": (
        "name: &a N\n",
        {"content": "line 1: has an anchor or an alias, which are not taken: write it out"},
    ),
    "a tag": (
        "name: !!str N\n",
        {"content": "line 1: has the tag tag:yaml.org,2002:str; tags are not taken"},
    ),
    "two documents": (
        "name: N\n---\nname: M\n",
        {"content": "line 2: begins a second document; a text holds one"},
    ),
    "nothing": ("", {"content": "line 1: is empty"}),
    "a character that YAML has not": (
        "name: N\n# \x07\n",
        {"content": "line 2: holds the character U+0007, which has to be escaped"},
    ),
    "no mapping": ("- name: N\n", {"content": "line 1: must be a mapping of fields"}),
}


@pytest.mark.rule("J-42a")
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_with_line_and_path(fault: str) -> None:
    text, told = FAULTS[fault]
    found = faults(text)
    assert {field: found.get(field) for field in told} == told


def test_all_faults_are_told_at_once() -> None:
    text = "nmae: N\ntargets:\n- channel: LINE\n  account: X\nnodes:\n- node_id: a\n  message:\n    bot_module: Y\n"
    assert set(faults(text)) == {"nmae", "targets[0].account_id", "nodes[0].message.bot_module_id", "name"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"name": "N",\n "nodes": [}', 2),
        ('{\n"name": N}', 2),
        ('{"name": "N"}\n{}', 2),
        ("", 1),
        ('{"name"\n "N"}', 2),
    ],
)
def test_json_that_is_none_is_told_with_its_line(text: str, line: int) -> None:
    assert faults(text, JSON)["content"].startswith(f"line {line}: is no JSON: ")


def test_json_keeps_texts_and_numbers_apart() -> None:
    assert faults('{"name": 5}', JSON)["name"] == "line 1: must be a text in quotes"
    assert faults('{"name": "\\ud83d"}', JSON)["name"] == "line 1: holds half a character"
    assert Text('{"name": "\\ud83d\\ude00"}', JSON).message(NAMES).name == "\U0001f600"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_what_is_nested_too_deep_is_refused_before_it_is_read(opening: str) -> None:
    said = faults(opening * 5_000)["content"]
    assert "nested deeper" in said or "maximum nesting depth" in said  # ours, or the scanner's before it
    assert "nested deeper" in faults("[" * 5_000, JSON)["content"]


def test_a_text_is_bounded() -> None:
    assert faults("#" * (TEXT_BYTES_MAX + 1))["content"] == f"takes more than {TEXT_BYTES_MAX} bytes"


def definition(**fields: Any) -> journey_pb2.Definition:
    return ParseDict(fields, journey_pb2.Definition())


def node(node_id: str, **fields: Any) -> dict[str, Any]:
    return {"node_id": node_id, **fields}


def test_differences_name_nodes_by_their_ids() -> None:
    before = definition(
        name="N",
        nodes=[
            node("a", points={"add": 5}),
            node("b", tags={"add": ["x"]}),
            node("gone", delay={"delay": "60s"}),
        ],
    )
    after = definition(
        name="M",
        nodes=[
            node("new", delay={"delay": "60s"}),
            node("b", tags={"add": ["x", "y"]}),
            node("a", points={"deduct": 5}),
        ],
    )
    assert [(each.field, each.before_value, each.after_value) for each in changes(before, after)] == [
        ("name", '"N"', '"M"'),
        ("nodes", '["a", "b", "gone"]', '["new", "b", "a"]'),
        ("nodes[a].points.add", "5", ""),
        ("nodes[a].points.deduct", "", "5"),
        ("nodes[b].tags.add", '["x"]', '["x", "y"]'),
        ("nodes[gone]", '{"node_id": "gone", "delay": {"delay": "60s"}}', ""),
        ("nodes[new]", "", '{"node_id": "new", "delay": {"delay": "60s"}}'),
    ]


def test_all_of_what_is_new_is_one_difference() -> None:
    (change,) = changes(None, definition(name="N"))
    assert (change.field, change.before_value, change.after_value) == ("", "", '{"name": "N"}')


@pytest.mark.rule("J-42c")
def test_the_schema_tells_editors_what_a_text_may_say() -> None:
    schema = json.loads(schema_text(comments()))
    Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["Definition"]["properties"]["name"] == {
        "type": "string",
        "maxLength": 200,
        "description": "1 to 200 characters. Required.",
    }
    assert schema["$defs"]["Target"]["properties"]["channel"]["enum"] == [
        "LINE",
        "WHATSAPP",
        "MESSENGER",
        "INSTAGRAM",
    ]
    valid = Draft202012Validator(schema).is_valid
    assert valid({"name": "N", "trigger": {"system": None}})
    wrongs: tuple[dict[str, Any], ...] = (
        {"nmae": "N"},
        {"targets": [{"channel": "line"}]},
        {"targets": [{"account": "a", "account_id": LINE_ID}]},
        {"nodes": [{"delay": {"delay": "3 days"}}]},
        {"nodes": [{"delay": {}, "points": {}}]},
        {"nodes": {"a": {}}},
    )
    assert [wrong for wrong in wrongs if valid(wrong)] == []


def test_the_examples_fit_the_schema() -> None:
    valid = Draft202012Validator(json.loads(schema_text(comments()))).is_valid
    examples = sorted((Path(services.journey.__path__[0]) / "examples").glob("*.yaml"))
    assert examples
    wrong = [file.name for file in examples if not valid(yaml.safe_load(file.read_text(encoding="utf-8")))]
    assert wrong == []
