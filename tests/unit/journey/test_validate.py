"""Publishing checks everything at once and says where each fault is."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.journey.domain import model as d
from services.journey.domain.validate import faults_of
from tests.unit.journey.builders import ACCOUNT, MODULE, delay, journey, message

LINE = d.Target(d.Channel.LINE, ACCOUNT)
WHATSAPP = d.Target(d.Channel.WHATSAPP, ACCOUNT)
TEMPLATE = d.Template(UUID(int=5))


def faults(*nodes: d.Node, **definition: object) -> list[str]:
    return [fault.field for fault in faults_of(journey(*nodes, **definition).definition)]  # type: ignore[arg-type]


def test_a_whole_definition_has_no_fault() -> None:
    nodes = (
        message("send", "wait"),
        delay("wait", 86_400, "ask"),
        d.Node("ask", d.Condition(b"", "tag", None)),
        d.Node("tag", d.Tags(add=("vip",)), "set"),
        d.Node("set", d.Attribute("tier", "gold"), "points"),
        d.Node("points", d.Points(-5)),
    )
    assert faults(*nodes) == []


def test_every_fault_is_reported_at_once_with_its_path() -> None:
    nodes = (
        d.Node("send", d.Message(d.Channel.WHATSAPP), "nowhere"),
        d.Node("Bad Id", d.Delay(30)),
        d.Node("both", d.Tags(add=("a",), remove=("a",))),
        d.Node("empty", None),
    )
    found = faults(*nodes, name=" ", trigger=None, targets=(), enrolments_per_customer_max=0)
    for path in (
        "name",
        "trigger",
        "targets",
        "enrolments_per_customer_max",
        "nodes[0].next_node_id",
        "nodes[0].message.channel",
        "nodes[0].message",
        "nodes[1].node_id",
        "nodes[1].delay",
        "nodes[2].tags",
        "nodes[3]",
    ):
        assert path in found


def test_cycles_and_unreachable_nodes_are_found() -> None:
    loop = (message("a", "b"), d.Node("b", d.Condition(b"", "a", "c")), delay("c", 60, "b"))
    assert faults(*loop) == ["nodes[1]", "nodes[2]"]
    assert faults(message("a"), message("lonely")) == ["nodes[1]"]
    # Two ways to one node are no cycle.
    merge = (
        d.Node("ask", d.Condition(b"", "x", "y")),
        delay("x", 60, "z"),
        delay("y", 60, "z"),
        message("z"),
    )
    assert faults(*merge) == []


def test_more_than_200_nodes_are_refused() -> None:
    nodes = [delay(f"n{i}", 60, f"n{i + 1}") for i in range(200)]
    assert faults(*nodes, delay("n200", 60)) == ["nodes"]


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        ((), ["targets"]),
        ((LINE, LINE), ["targets[1].channel"]),
        ((d.Target(d.Channel.LINE, None),), ["targets[0].account_id"]),
        ((d.Target(d.Channel.LINE, ACCOUNT, 0),), ["targets[0].message_cap"]),
        ((d.Target(d.Channel.LINE, ACCOUNT, 1), WHATSAPP), []),
        ((LINE, d.Target(d.Channel.MESSENGER, ACCOUNT, 5)), ["targets[1].message_cap"]),
    ],
)
def test_targets_and_caps(targets: tuple[d.Target, ...], found: list[str]) -> None:
    assert faults(delay("wait", 60), targets=targets) == found


def test_templates_are_for_whatsapp_and_messages_for_target_channels() -> None:
    on_line = d.Node("send", d.Message(d.Channel.LINE, template=TEMPLATE))
    on_whatsapp = d.Node("send", d.Message(d.Channel.WHATSAPP, template=TEMPLATE))
    module = d.Node("send", d.Message(d.Channel.WHATSAPP, bot_module_id=MODULE))
    assert faults(on_line) == ["nodes[0].message.template"]
    assert faults(on_whatsapp, targets=(WHATSAPP,)) == []
    assert faults(module, targets=(WHATSAPP,)) == []
    assert faults(on_whatsapp) == ["nodes[0].message.channel"]


@pytest.mark.rule("J-31")
@pytest.mark.parametrize(
    ("seconds", "good"),
    [(0, False), (59, False), (60, True), (90, False), (365 * 86_400, True), (365 * 86_400 + 60, False)],
)
def test_a_delay_is_whole_minutes_up_to_a_year(seconds: int, good: bool) -> None:
    assert (faults(delay("wait", seconds)) == []) is good


@pytest.mark.rule("J-33")
def test_a_tag_is_not_added_and_removed_at_once() -> None:
    assert faults(d.Node("tags", d.Tags(("a", "b"), ("b",)))) == ["nodes[0].tags"]
    assert faults(d.Node("tags", d.Tags())) == ["nodes[0].tags"]
    assert faults(d.Node("tags", d.Tags(("a",), ("b",)))) == []


@pytest.mark.rule("J-12d")
def test_windows_that_leave_no_minute_are_refused() -> None:
    whole_day = (d.QuietWindow(0, 720), d.QuietWindow(720, 1440))
    assert faults(message("send"), quiet=whole_day) == ["do_not_disturb.windows"]
    assert faults(message("send"), quiet=(d.QuietWindow(-1, 1441),))[:2] == [
        "do_not_disturb.windows[0].start_minute",
        "do_not_disturb.windows[0].end_minute",
    ]
