"""Contract to domain and back: definitions."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import seconds_of, timestamp
from libs.common.text import as_seen
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import journey_pb2, node_pb2, validation_pb2
from services.journey.convert.branching import add_branching, branching_from
from services.journey.convert.effects import media_message
from services.journey.convert.reading import Reading
from services.journey.convert.triggers import trigger_from, trigger_message
from services.journey.domain import model as d
from services.journey.domain.lifecycle import MESSAGES
from services.journey.domain.node_faults import POINTS_NEED
from services.journey.domain.texts import template_faults
from services.journey.domain.views import ListedJourney, StoredRevision, StoredStatusChange

_CHANNELS: Final = frozenset(channel.value for channel in d.Channel)
_QUIET_ZONES: Final = frozenset(zone.value for zone in d.QuietZone)
_CAPPED_ACTIONS: Final = frozenset(action.value for action in d.CappedAction)
_EXPIRIES: Final = frozenset(action.value for action in d.ExpiryAction)
CHINESE: Final = "zh-TW"
LANGUAGES: Final = ("", "en", CHINESE)
DEFINITION_BYTES_MAX: Final = 512 * 1024
"""Of a definition as it is sent, whole or not: 200 nodes of 2.5 kB each."""


# ---- in -------------------------------------------------------------------------------------------------------


def definition_from(message: journey_pb2.Definition, check: FieldCheck) -> d.Definition:
    """A definition as it was sent; what cannot be read is noted in `check`, what is missing in the definition."""
    reading = Reading()
    if message.ByteSize() > DEFINITION_BYTES_MAX:
        reading.fault("definition", f"takes more than {DEFINITION_BYTES_MAX} bytes")
    reading.name("name", message.name, length_max=200)
    limit = message.enrolments_per_customer_max if message.HasField("enrolments_per_customer_max") else None
    definition = d.Definition(
        name=message.name,
        trigger=_trigger_from(message, reading),
        nodes=tuple(_node_from(node, f"nodes[{i}]", reading) for i, node in enumerate(message.nodes)),
        targets=tuple(
            target
            for i, sent in enumerate(message.targets)
            if (target := _target_from(sent, f"targets[{i}]", reading)) is not None
        ),
        schedule=_schedule_from(message.schedule, reading) if message.HasField("schedule") else None,
        quiet=tuple(
            d.QuietWindow(window.start_minute, window.end_minute, tuple(sorted(set(window.weekdays))))
            for window in message.do_not_disturb.windows
        ),
        enrolments_per_customer_max=limit,
        quiet_zone=_quiet_zone_from(message.do_not_disturb.zone, reading),
        zone_attribute_key=message.do_not_disturb.zone_attribute_key,
        priority=message.priority,
        goal=_goal_from(message, reading),
    )
    check.violations += reading.violations
    if not reading.gaps:
        return definition
    draft = d.Draft(message.SerializeToString(deterministic=True), tuple(reading.gaps))
    return msgspec.structs.replace(definition, draft=draft)


def _trigger_from(sent: journey_pb2.Definition, check: Reading) -> d.Trigger | None:
    if sent.trigger.HasField("customer_replied"):
        check.gap("trigger.customer_replied", "starts no journey: it is for waits and goals")
        return None
    return trigger_from(sent, "trigger", "trigger", check)


def _goal_from(sent: journey_pb2.Definition, check: Reading) -> d.Trigger | None:
    if not sent.HasField("goal"):
        return None
    if not sent.goal.HasField("event"):
        check.gap("goal.event", "is required")
    return trigger_from(sent.goal, "event", "goal.event", check)


def _channel_from(number: int, path: str, check: Reading) -> d.Channel | None:
    if number in _CHANNELS:
        return d.Channel(number)
    check.gap(
        path, "is required: one of CHANNEL_LINE, CHANNEL_WHATSAPP, CHANNEL_MESSENGER, CHANNEL_INSTAGRAM"
    )
    return None


def _quiet_zone_from(number: int, check: Reading) -> d.QuietZone:
    if number in _QUIET_ZONES:
        return d.QuietZone(number)
    check.gap("do_not_disturb.zone", "is none of TEAM and CUSTOMER")
    return d.QuietZone.UNSPECIFIED


def _target_from(sent: journey_pb2.Target, path: str, check: Reading) -> d.Target | None:
    channel = _channel_from(sent.channel, f"{path}.channel", check)
    account_id = check.optional_uuid(f"{path}.account_id", sent.account_id)
    cap = sent.message_cap if sent.HasField("message_cap") else None
    return None if channel is None else d.Target(channel, account_id, cap)


def _schedule_from(sent: journey_pb2.Schedule, check: Reading) -> d.Schedule | None:
    start, end = (_schedule_time(sent, field, check) for field in ("start_time", "end_time"))
    if sent.expiry_action not in _EXPIRIES:
        check.gap("schedule.expiry_action", "is required: CLOSE_TRIGGER or STOP")
        return None
    return (
        None if start is None or end is None else d.Schedule(start, end, d.ExpiryAction(sent.expiry_action))
    )


def _schedule_time(sent: journey_pb2.Schedule, field: str, check: Reading) -> datetime | None:
    if sent.HasField(field):  # type: ignore[arg-type]  # one of two names
        return check.time(f"schedule.{field}", sent, field)
    check.gap(f"schedule.{field}", "is required")
    return None


def _node_from(sent: node_pb2.Node, path: str, check: Reading) -> d.Node:
    return d.Node(sent.node_id, _action_from(sent, path, check), sent.next_node_id or None)


def _action_from(sent: node_pb2.Node, path: str, check: Reading) -> d.Action | None:
    match sent.WhichOneof("kind"):
        case "message":
            return _message_from(sent.message, f"{path}.message", check)
        case "delay":
            seconds = seconds_of(sent.delay.delay)
            if seconds != int(seconds):
                check.gap(f"{path}.delay", "must be whole minutes")
            return d.Delay(int(seconds))
        case "tags":
            return d.Tags(tuple(map(as_seen, sent.tags.add)), tuple(map(as_seen, sent.tags.remove)))
        case "attribute":
            return d.Attribute(sent.attribute.key, sent.attribute.text)
        case "points":
            if not (sent.points.add or sent.points.deduct):
                check.gap(f"{path}.points", POINTS_NEED)
            return d.Points(sent.points.add or -sent.points.deduct)
        case _:
            return branching_from(sent, path, check)


def _message_from(sent: node_pb2.MessageNode, path: str, check: Reading) -> d.Message | None:
    channel = _channel_from(sent.channel, f"{path}.channel", check)
    module_id = check.optional_uuid(f"{path}.bot_module_id", sent.bot_module_id)
    template = None
    if sent.HasField("template") and (channel is None or not sent.template.template_id):
        # What cannot be read as a template is not looked at as one.
        texts = sent.template.parameters, sent.template.header_parameters, sent.template.button_parameters
        media = [(field.name, value) for field, value in sent.template.header_media.ListFields()]
        for fault in template_faults(f"{path}.template", *texts, media):
            check.gap(fault.field, fault.description)
    if sent.HasField("template"):
        template_id = check.optional_uuid(f"{path}.template.template_id", sent.template.template_id)
        if template_id is None:
            check.gap(f"{path}.template.template_id", "is required")
        else:
            template = d.Template(
                template_id,
                tuple(sent.template.parameters),
                tuple(sent.template.header_parameters),
                tuple(sent.template.button_parameters),
                _media_from(sent.template, f"{path}.template.header_media", check),
            )
    if sent.capped_action not in _CAPPED_ACTIONS:
        check.gap(f"{path}.capped_action", "is none of SKIP and WAIT")
        return None
    action = d.CappedAction(sent.capped_action)
    return None if channel is None else d.Message(channel, module_id, template, action)


def _media_from(sent: node_pb2.TemplateContent, path: str, check: Reading) -> d.HeaderMedia | None:
    if not sent.HasField("header_media"):
        return None
    media = sent.header_media
    field = media.WhichOneof("source")
    if field is None:
        check.gap(path, f"says nothing: give one of {', '.join(d.MediaKind)}")
        return None
    return d.HeaderMedia(d.MediaKind(field), getattr(media, field), media.filename)


# ---- out ------------------------------------------------------------------------------------------------------


def journey_message(journey: d.Journey, language: str = "") -> journey_pb2.Journey:
    """A journey as the contract shows it; the reason's text in `language`, English by default."""
    return journey_pb2.Journey(
        journey_id=str(journey.journey_id),
        team_id=str(journey.team_id),
        status=journey_pb2.JourneyStatus.ValueType(journey.status),
        status_reason=journey_pb2.StatusReason.ValueType(journey.reason),
        status_message=_reason_text(journey.reason, language),
        revision=journey.revision,
        definition=definition_message(journey.definition),
        create_time=timestamp(journey.created_at),
        update_time=timestamp(journey.updated_at),
        publish_time=timestamp(journey.published_at) if journey.published_at else None,
        etag=str(journey.version),
        delete_time=timestamp(journey.deleted_at) if journey.deleted_at else None,
    )


def listed_message(listed: ListedJourney, journey: d.Journey, language: str) -> journey_pb2.Journey:
    """A row of a list as the contract shows it, with the journey as it is now."""
    message = journey_message(journey, language)
    message.trigger_type = listed.trigger_type
    message.status_subject = listed.subject or ""
    message.status_actor = listed.actor or ""
    if listed.changed_at is not None:
        message.status_time.CopyFrom(timestamp(listed.changed_at))
    return message


def status_change_message(change: StoredStatusChange, language: str) -> validation_pb2.StatusChange:
    """A change of status as the contract shows it; the reason's text in `language`, English by default."""
    return validation_pb2.StatusChange(
        before_status=journey_pb2.JourneyStatus.ValueType(change.before),
        after_status=journey_pb2.JourneyStatus.ValueType(change.after),
        status_reason=journey_pb2.StatusReason.ValueType(change.reason),
        subject=change.subject,
        message=_reason_text(change.reason, language),
        actor=change.actor,
        change_time=timestamp(change.changed_at),
    )


def _reason_text(reason: d.StatusReason, language: str) -> str:
    english, chinese = MESSAGES.get(reason, ("", ""))
    return chinese if language == CHINESE else english


def revision_message(revision: StoredRevision) -> journey_pb2.Revision:
    """A revision as the contract shows it."""
    return journey_pb2.Revision(
        revision=revision.revision,
        definition=definition_message(revision.definition),
        actor=revision.actor,
        create_time=timestamp(revision.created_at),
    )


def definition_message(definition: d.Definition) -> journey_pb2.Definition:
    """A definition as the contract shows it; one that is not whole yet as it was sent."""
    if definition.draft is not None:
        message = journey_pb2.Definition.FromString(definition.draft.sent)
        message.name = definition.name
        return message
    message = journey_pb2.Definition(
        name=definition.name,
        enrolments_per_customer_max=definition.enrolments_per_customer_max,
        priority=definition.priority,
        targets=[_target_message(target) for target in definition.targets],
        nodes=[_node_message(node) for node in definition.nodes],
    )
    if definition.trigger is not None:
        message.trigger.CopyFrom(trigger_message(definition.trigger))
    if definition.goal is not None:
        message.goal.event.CopyFrom(trigger_message(definition.goal))
    if definition.schedule is not None:
        message.schedule.start_time.CopyFrom(timestamp(definition.schedule.start))
        message.schedule.end_time.CopyFrom(timestamp(definition.schedule.end))
        message.schedule.expiry_action = journey_pb2.ExpiryAction.ValueType(definition.schedule.expiry)
    for window in definition.quiet:
        message.do_not_disturb.windows.add(
            start_minute=window.start_minute,
            end_minute=window.end_minute,
            weekdays=[journey_pb2.Weekday.ValueType(day) for day in window.weekdays],
        )
    if definition.quiet_zone or definition.zone_attribute_key:
        message.do_not_disturb.zone = journey_pb2.QuietZone.ValueType(definition.quiet_zone)
        message.do_not_disturb.zone_attribute_key = definition.zone_attribute_key
    return message


def _target_message(target: d.Target) -> journey_pb2.Target:
    account = str(target.account_id) if target.account_id else ""
    return journey_pb2.Target(
        channel=_channel_message(target.channel), account_id=account, message_cap=target.cap
    )


def _channel_message(channel: d.Channel) -> channel_pb2.Channel.ValueType:
    return channel_pb2.Channel.ValueType(channel)


def _node_message(node: d.Node) -> node_pb2.Node:
    message = node_pb2.Node(node_id=node.node_id, next_node_id=node.next or "")
    match node.action:
        case d.Message() as action:
            message.message.CopyFrom(_message_message(action))
        case d.Delay() as action:
            message.delay.delay.FromSeconds(action.seconds)
        case d.Tags() as action:
            message.tags.add.extend(action.add)
            message.tags.remove.extend(action.remove)
        case d.Attribute() as action:
            message.attribute.key = action.key
            message.attribute.text = action.text
        case d.Points() as action:
            message.points.CopyFrom(_points_message(action))
        case d.Condition() | d.Wait() | d.Split() as action:
            add_branching(message, action)
        case None:
            pass
    return message


def _message_message(action: d.Message) -> node_pb2.MessageNode:
    message = node_pb2.MessageNode(
        channel=_channel_message(action.channel),
        capped_action=node_pb2.CappedAction.ValueType(action.capped_action),
    )
    if action.template is not None:
        message.template.template_id = str(action.template.template_id)
        message.template.parameters.extend(action.template.parameters)
        message.template.header_parameters.extend(action.template.header_parameters)
        message.template.button_parameters.extend(action.template.button_parameters)
        if action.template.header_media is not None:
            message.template.header_media.CopyFrom(media_message(action.template.header_media))
    elif action.bot_module_id is not None:
        message.bot_module_id = str(action.bot_module_id)
    return message


def _points_message(action: d.Points) -> node_pb2.PointsNode:
    if action.delta > 0:
        return node_pb2.PointsNode(add=action.delta)
    return node_pb2.PointsNode(deduct=-action.delta) if action.delta else node_pb2.PointsNode()
