"""Contract to domain and back: nodes with more than one way out."""

from __future__ import annotations

from libs.common.rpc.values import seconds_of
from omnijourney.journey.v1 import node_pb2
from omnijourney.segment.v1 import audience_pb2
from services.journey.convert.reading import Reading
from services.journey.convert.triggers import trigger_from, trigger_message
from services.journey.domain import model as d

Branching = d.Condition | d.Wait | d.Split


def branching_from(sent: node_pb2.Node, path: str, check: Reading) -> Branching | None:
    """What a node does, None if it is none of these; `path` is the node's."""
    match sent.WhichOneof("kind"):
        case "condition":
            return d.Condition(
                sent.condition.audience.SerializeToString(deterministic=True),
                _branch_from(sent.condition.yes, f"{path}.condition.yes", check),
                _branch_from(sent.condition.no, f"{path}.condition.no", check),
            )
        case "split":
            ways = enumerate(sent.split.ways)
            return d.Split(tuple(_way_from(way, f"{path}.split.ways[{i}]", check) for i, way in ways))
        case "wait":
            return _wait_from(sent.wait, f"{path}.wait", check)
        case _:
            return None


def add_branching(message: node_pb2.Node, action: Branching) -> None:
    """Writes what a node does into the contract's."""
    match action:
        case d.Condition():
            message.condition.audience.CopyFrom(audience_pb2.Audience.FromString(action.audience))
            message.condition.yes.CopyFrom(_branch_message(action.yes))
            message.condition.no.CopyFrom(_branch_message(action.no))
        case d.Split(ways=ways):
            message.split.ways.extend(map(_way_message, ways))
        case d.Wait():
            message.wait.CopyFrom(_wait_message(action))


def _way_from(sent: node_pb2.SplitWay, path: str, check: Reading) -> d.Way:
    if not sent.holdout:
        return d.Way(sent.share, _branch_from(sent.target, f"{path}.target", check))
    if sent.HasField("target"):
        check.gap(f"{path}.target", "is of no use: those who are held out end here")
    return d.Way(sent.share, None, sent.holdout)


def _wait_from(sent: node_pb2.WaitNode, path: str, check: Reading) -> d.Wait:
    seconds = seconds_of(sent.timeout)
    if seconds != int(seconds):
        check.gap(f"{path}.timeout", "must be whole minutes")
    if not sent.HasField("event"):
        check.gap(f"{path}.event", "is required")
    return d.Wait(
        trigger_from(sent, "event", f"{path}.event", check),
        int(seconds),
        _branch_from(sent.happened, f"{path}.happened", check),
        _branch_from(sent.timed_out, f"{path}.timed_out", check),
        sent.counts_earlier,
        sent.same_subject,
    )


def _wait_message(action: d.Wait) -> node_pb2.WaitNode:
    message = node_pb2.WaitNode(
        happened=_branch_message(action.happened),
        timed_out=_branch_message(action.timed_out),
        counts_earlier=action.counts_earlier,
        same_subject=action.same_subject,
    )
    if action.event is not None:
        message.event.CopyFrom(trigger_message(action.event))
    message.timeout.FromSeconds(action.seconds)
    return message


def _way_message(way: d.Way) -> node_pb2.SplitWay:
    target = None if way.holdout else _branch_message(way.target)
    return node_pb2.SplitWay(share=way.share, holdout=way.holdout, target=target)


def _branch_from(sent: node_pb2.Branch, path: str, check: Reading) -> str | None:
    """The node to which a branch leads; None where it ends the journey, or says nothing, which is a gap."""
    kind = sent.WhichOneof("target")
    if kind is None or (kind == "node_id" and not sent.node_id):
        check.gap(path, "must name a node or say that the journey ends here")
    return sent.node_id or None


def _branch_message(node_id: str | None) -> node_pb2.Branch:
    """A branch to a node; None ends the journey."""
    return node_pb2.Branch(node_id=node_id) if node_id else node_pb2.Branch(end=node_pb2.EndOfJourney())
