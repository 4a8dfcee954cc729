"""One customer's way through a journey: what happened at each node, and which ways of the tree it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from libs.console.journeys.deciding import decided
from libs.console.journeys.reasons import in_words
from libs.console.journeys.tree import START
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.journey.v1 import enrolment_pb2 as pb
from omnijourney.journey.v1.node_pb2 import Node

RESULTS: Final[Mapping[int, str]] = {
    pb.STEP_RESULT_SEND_REQUESTED: noted("Message handed over to be sent"),
    pb.STEP_RESULT_SENT: noted("Message sent"),
    pb.STEP_RESULT_SKIPPED: noted("Message skipped"),
    pb.STEP_RESULT_FAILED: noted("Message failed"),
    pb.STEP_RESULT_UNKNOWN: noted("Nobody knows whether the message left"),
    pb.STEP_RESULT_EXHAUSTED: noted("No message was left for it"),
    pb.STEP_RESULT_DEFERRED: noted("Message put off"),
    pb.STEP_RESULT_DELAY_STARTED: noted("The delay began"),
    pb.STEP_RESULT_DELAY_ENDED: noted("The delay ended"),
    pb.STEP_RESULT_YES: noted("The condition was met"),
    pb.STEP_RESULT_NO: noted("The condition was not met"),
    pb.STEP_RESULT_APPLIED: noted("The change was made"),
    pb.STEP_RESULT_UNCHANGED: noted("Nothing had to change"),
    pb.STEP_RESULT_INSUFFICIENT: noted("Too few points: nothing changed"),
    pb.STEP_RESULT_REFUSED: noted("The change was refused"),
    pb.STEP_RESULT_HALTED: noted("Halted here"),
    pb.STEP_RESULT_CANCELLED: noted("The message was taken back before it left"),
    pb.STEP_RESULT_WAIT_STARTED: noted("The wait began"),
    pb.STEP_RESULT_HAPPENED: noted("It happened"),
    pb.STEP_RESULT_TIMED_OUT: noted("The time was over"),
    pb.STEP_RESULT_GOAL_REACHED: noted("The goal was reached"),
    pb.STEP_RESULT_WAY_TAKEN: noted("Went on by way %(n)s"),
    pb.STEP_RESULT_HELD_OUT: noted("Held out"),
}
WAYS: Final[Mapping[int, str]] = {
    pb.STEP_RESULT_YES: "yes",
    pb.STEP_RESULT_NO: "no",
    pb.STEP_RESULT_HAPPENED: "happened",
    pb.STEP_RESULT_TIMED_OUT: "timed_out",
}
"""The way that a result says was taken, as the places of a tree name it."""
_NUMBERED: Final = frozenset({pb.STEP_RESULT_WAY_TAKEN, pb.STEP_RESULT_HELD_OUT})
_JUDGED: Final = frozenset({pb.STEP_RESULT_YES, pb.STEP_RESULT_NO})
_BRANCHING: Final = frozenset({"condition", "wait", "split"})


class StepInWords(NamedTuple):
    """A step in words."""

    at: Timestamp
    node_id: str
    what: str
    why: str
    seen: str
    """What decided a condition, or the note of who ended it; may be empty."""


def step_in_words(visit: Visit, step: pb.Step, attributes: Mapping[str, str]) -> StepInWords:
    """One step; `attributes` are names of attributes by key."""
    what = visit.say(RESULTS[step.result], n=step.detail) if step.result in RESULTS else ""
    why = "" if step.result in _NUMBERED else in_words(visit, step.detail)
    seen = decided(visit, step.seen, attributes) if step.result in _JUDGED else step.seen
    return StepInWords(step.occur_time, step.node_id, what, why, seen)


def at_nodes(visit: Visit, steps: Sequence[pb.Step]) -> dict[str, str]:
    """What happened last at each node, and when."""
    last = {step.node_id: step_in_words(visit, step, {}) for step in steps}
    return {
        node_id: " · ".join(filter(None, (each.what, each.why, visit.formats.moment(each.at))))
        for node_id, each in last.items()
    }


def lit(nodes: Iterable[Node], steps: Sequence[pb.Step], state: pb.EnrolmentState.ValueType) -> set[str]:
    """The nodes where the customer was, by id, and the ways that they took, by place."""
    kinds = {node.node_id: node.WhichOneof("kind") for node in nodes}
    found = {START, *(step.node_id for step in steps)}
    for step in steps:
        if step.result in WAYS:
            found.add(f"{step.node_id}.{WAYS[step.result]}")
        elif step.result in _NUMBERED and step.detail.isdecimal():
            found.add(f"{step.node_id}.way{int(step.detail) - 1}")
    visited = list(dict.fromkeys((step.node_id, step.visit) for step in steps))
    left = visited if state == pb.ENROLMENT_STATE_COMPLETED else visited[:-1]
    found |= {f"{node_id}.next" for node_id, _ in left if kinds.get(node_id) not in _BRANCHING}
    return found
