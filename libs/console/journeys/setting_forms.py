"""The settings of a journey as a form has them: name, active time, quiet time, limits, channels."""

from __future__ import annotations

import re
from typing import Final

from libs.console.formats import Formats
from libs.console.journeys.reading import Reader
from libs.console.journeys.trigger_forms import read_trigger
from libs.console.journeys.words import CAPPED
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1.journey_pb2 import Definition

WINDOWS_MAX: Final = 50
NAMES: Final = {
    "definition.name": "name",
    "name": "name",
    "schedule.start_time": "start_time",
    "schedule.end_time": "end_time",
    "schedule.expiry_action": "expiry_action",
    "schedule": "start_time",
    "do_not_disturb": "windows",
    "enrolments_per_customer_max": "enrolments_max",
    "priority": "priority",
    "targets": "targets",
    "trigger": "trigger",
    "goal": "goal",
}
"""Paths of a definition by the fields of the form."""
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
_NO_WINDOW: Final = noted("Enter when it begins and when it ends, for example 23:00 and 08:00.")
_NO_MOMENT: Final = noted("Enter a day and a time.")


def read_settings(
    reader: Reader, definition: Definition, formats: Formats, currency: str, *, fixed: bool
) -> None:
    """Takes over what the form says. `fixed`: the journey is published, and what has to stay is not looked at."""
    definition.name = reader.text("name")
    _read_quiet(reader, definition)
    limit = reader.number("enrolments_max")
    if not fixed:
        definition.ClearField("enrolments_per_customer_max")
        if limit:
            definition.enrolments_per_customer_max = limit
        _read_schedule(reader, definition, formats)
        before = journey_pb2.Definition()
        before.CopyFrom(definition)
        definition.trigger.CopyFrom(read_trigger(reader, "trigger_", currency, before.trigger))
        if definition.trigger.WhichOneof("kind") is None:
            definition.ClearField("trigger")
        goal = read_trigger(reader, "goal_", currency, before.goal.event)
        definition.ClearField("goal")
        if goal.WhichOneof("kind") is not None:
            definition.goal.event.CopyFrom(goal)
    _read_targets(reader, definition, fixed=fixed)


def _read_schedule(reader: Reader, definition: Definition, formats: Formats) -> None:
    definition.ClearField("schedule")
    if reader.text("active") != "schedule":
        return
    definition.schedule.SetInParent()
    for name in ("start_time", "end_time"):
        try:
            at = formats.read_field(reader.text(name))
        except ValueError:
            reader.faults.add(name, reader.say(_NO_MOMENT))
            continue
        if at is not None:
            getattr(definition.schedule, name).CopyFrom(at)
    stops = reader.text("expiry_action") == "stop"
    definition.schedule.expiry_action = (
        journey_pb2.EXPIRY_ACTION_STOP if stops else journey_pb2.EXPIRY_ACTION_CLOSE_TRIGGER
    )


def _read_quiet(reader: Reader, definition: Definition) -> None:
    """Windows that the form has; one whose times are both empty is taken out."""
    windows = []
    for number in range(WINDOWS_MAX + 1):
        start, end = reader.text(f"quiet_start_{number}"), reader.text(f"quiet_end_{number}")
        if not (start or end):
            continue
        from_, to = _CLOCK.fullmatch(start[:5]), _CLOCK.fullmatch(end[:5])
        if from_ is None or to is None:
            reader.faults.add("windows", reader.say(_NO_WINDOW))
            continue
        days = [int(day) for day in reader.all(f"quiet_days_{number}") if day in "1234567" and day]
        windows.append(
            journey_pb2.QuietWindow(
                start_minute=int(from_[1]) % 24 * 60 + int(from_[2]),
                end_minute=int(to[1]) * 60 + int(to[2]) or 24 * 60,
                weekdays=[journey_pb2.Weekday.ValueType(day) for day in days if len(days) < 7],
            )
        )
    zone, key = definition.do_not_disturb.zone, definition.do_not_disturb.zone_attribute_key
    definition.ClearField("do_not_disturb")
    if windows:
        definition.do_not_disturb.windows.extend(windows)
        of_customer = reader.text("quiet_zone") == "customer"
        definition.do_not_disturb.zone = (
            journey_pb2.QUIET_ZONE_CUSTOMER if of_customer else journey_pb2.QUIET_ZONE_TEAM
        )
        if of_customer and zone == journey_pb2.QUIET_ZONE_CUSTOMER:
            definition.do_not_disturb.zone_attribute_key = key


def _read_targets(reader: Reader, definition: Definition, *, fixed: bool) -> None:
    caps = {channel: reader.number(f"cap_{channel}") for channel in CAPPED}
    if not fixed:
        del definition.targets[:]
        for channel in CHANNELS:
            if reader.flag(f"target_{channel}"):
                definition.targets.add(
                    channel=channel_pb2.Channel.ValueType(channel),
                    account_id=reader.text(f"account_{channel}"),
                )
    for target in definition.targets:
        target.ClearField("message_cap")
        if caps.get(target.channel):
            target.message_cap = caps[target.channel]
