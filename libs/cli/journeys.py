"""`omnijourney journey …`: journeys as texts."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import grpc

from libs.cli.answers import json_about, json_of
from libs.cli.console import EXIT_FAULT, complain, refusal_of, say
from libs.client import Client, ClientSettings
from libs.client.paging import items
from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.journey.v1 import journey_pb2, validation_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb

TIMEOUT_S: Final = 30.0
_EXIT_DIFFERENT: Final = 3
_LINE: Final = re.compile(r"line (\d+): (.*)", re.DOTALL)
"""How the service begins what is wrong with a text."""

Command = Callable[[Client], Awaitable[int]]
"""Returns the exit code."""


_TEXT_BYTES_MAX: Final = 1 << 20
"""As the contract has it."""


class NoSuch(Exception):
    """A name that leads to no journey, or to several."""


class NoText(Exception):
    """A file that holds no definition, whatever the service would say."""


async def run(settings: ClientSettings, command: Command) -> int:
    """Does a command below; returns the exit code: 1, with every fault on stderr, when it was refused."""
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        try:
            return await _one_fault(command, client)
        except grpc.aio.AioRpcError as error:
            _show_refusal(error, "")
        except NoSuch as error:
            complain(str(error))
    return EXIT_FAULT


async def _one_fault(command: Command, client: Client) -> int:
    """Does a command. Where several of its calls failed at once, one of them is enough to say so."""
    try:
        return await command(client)
    except ExceptionGroup as faults:
        fault: Exception = faults
        while isinstance(fault, ExceptionGroup):
            fault = fault.exceptions[0]
        raise fault from faults


def get(team_id: str, name: str, *, as_json: bool) -> Command:
    """Writes a journey's text."""

    async def command(client: Client) -> int:
        journey_id = await id_of(client, team_id, name)
        request = pb.ExportJourneyRequest(
            team_id=team_id,
            journey_id=journey_id,
            format=pb.TEXT_FORMAT_JSON if as_json else pb.TEXT_FORMAT_YAML,
        )
        answer = await client.journey.ExportJourney(request, timeout=TIMEOUT_S)
        sys.stdout.write(answer.content)
        return 0

    return command


def validate(team_id: str, files: Sequence[Path], *, as_json: bool = False) -> Command:
    """Says what is wrong with texts; all files are looked at."""

    async def look(client: Client, file: Path) -> int:
        text = pb.DefinitionText(format=_format(file), content=_content(file))
        request = pb.ValidateJourneyRequest(team_id=team_id, text=text)
        answer = await client.journey.ValidateJourney(request, timeout=TIMEOUT_S)
        if as_json:
            say(json_about(answer, file=str(file)))
            return EXIT_FAULT if answer.faults else 0
        for fault in answer.faults:
            complain(f"{file}:{fault.line}: {_field_and_fault(fault)}")
        for warning in answer.warnings:
            complain(f"{file}:{warning.line}: warning: {_field_and_fault(warning)}")
        if not answer.faults:
            say(f"{file}: could be published")
        return EXIT_FAULT if answer.faults else 0

    return each(files, look)


def diff(team_id: str, files: Sequence[Path], *, exit_code: bool, as_json: bool = False) -> Command:
    """Shows what applying texts would change."""

    async def look(client: Client, file: Path) -> int:
        request = apply_request(team_id, file, dry_run=True)
        answer = await client.journey.ApplyJourney(request, timeout=TIMEOUT_S)
        if as_json:
            say(json_about(answer, file=str(file)))
        else:
            _show_changes(file, answer, "would be a new draft", "no difference")
        return _EXIT_DIFFERENT if exit_code and answer.changes else 0

    return each(files, look)


def apply(
    team_id: str, files: Sequence[Path], journey_id: str, etag: str, *, as_json: bool = False
) -> Command:
    """Makes journeys what texts say, one file after the other, whatever becomes of the others."""

    async def make(client: Client, file: Path) -> int:
        request = apply_request(team_id, file, journey_id=journey_id, etag=etag)
        answer = await client.journey.ApplyJourney(request, timeout=TIMEOUT_S)
        if as_json:
            say(json_about(answer, file=str(file)))
        else:
            _show_changes(file, answer, "is a new draft", "nothing to change")
        return 0

    return each(files, make)


def publish(team_id: str, names: Sequence[str], *, as_json: bool = False) -> Command:
    """Makes drafts live."""

    async def make_live(client: Client, name: str) -> int:
        journey_id = await id_of(client, team_id, name)
        request = pb.PublishJourneyRequest(team_id=team_id, request_id=str(new_id()), journey_id=journey_id)
        answer = await client.journey.PublishJourney(request, timeout=TIMEOUT_S)
        say(json_of(answer.journey) if as_json else line_of(answer.journey))
        return 0

    return each(names, make_live)


def stop(team_id: str, names: Sequence[str], *, as_json: bool = False) -> Command:
    """Stops journeys."""

    async def halt(client: Client, name: str) -> int:
        journey_id = await id_of(client, team_id, name)
        request = pb.StopJourneyRequest(team_id=team_id, request_id=str(new_id()), journey_id=journey_id)
        answer = await client.journey.StopJourney(request, timeout=TIMEOUT_S)
        say(json_of(answer.journey) if as_json else line_of(answer.journey))
        return 0

    return each(names, halt)


def schema(team_id: str) -> Command:
    """Writes the schema of texts."""

    async def command(client: Client) -> int:
        request = pb.GetDefinitionSchemaRequest(team_id=team_id)
        answer = await client.journey.GetDefinitionSchema(request, timeout=TIMEOUT_S)
        sys.stdout.write(answer.schema)
        return 0

    return command


Thing = TypeVar("Thing")


def each(things: Sequence[Thing], work: Callable[[Client, Thing], Awaitable[int]]) -> Command:
    """Does the work for each thing, whatever becomes of the others; the exit code is the worst one."""

    async def command(client: Client) -> int:
        return max([await _one(client, thing, work) for thing in things], default=0)

    return command


async def _one(client: Client, thing: Thing, work: Callable[[Client, Thing], Awaitable[int]]) -> int:
    try:
        return await work(client, thing)
    except grpc.aio.AioRpcError as error:
        _show_refusal(error, str(thing))
    except (NoSuch, NoText, OSError) as error:
        complain(f"{thing}: {error}")
    return EXIT_FAULT


def apply_request(
    team_id: str, file: Path, *, journey_id: str = "", etag: str = "", dry_run: bool = False
) -> pb.ApplyJourneyRequest:
    return pb.ApplyJourneyRequest(
        team_id=team_id,
        request_id=str(new_id()),
        journey_id=journey_id,
        etag=etag,
        format=_format(file),
        content=_content(file),
        dry_run=dry_run,
    )


def _format(file: Path) -> pb.TextFormat.ValueType:
    return pb.TEXT_FORMAT_JSON if file.suffix.lower() == ".json" else pb.TEXT_FORMAT_YAML


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        content = opened.read(_TEXT_BYTES_MAX + 1)
    if len(content) > _TEXT_BYTES_MAX:
        raise NoText(f"holds more than {_TEXT_BYTES_MAX:,} bytes: a definition takes fewer")
    try:
        return content.decode()
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise NoText(f"line {line}: is no text in UTF-8: save the file in that encoding") from None


async def id_of(client: Client, team_id: str, name: str) -> str:
    """A journey by its id, or by its name, which no other one may have. Raises NoSuch."""
    try:
        return str(UUID(name))
    except ValueError:
        pass
    request = pb.ListJourneysRequest(team_id=team_id, page_size=100, name_contains=name)
    listed = items(client.journey.ListJourneys, request, "journeys", timeout_s=TIMEOUT_S)
    found = [each.journey_id async for each in listed if each.definition.name == name]
    if not found:
        raise NoSuch(f"there is no journey {name!r}")
    if len(found) > 1:
        raise NoSuch(f"{len(found)} journeys are called {name!r}: give the id, one of {', '.join(found[:5])}")
    return str(found[0])


def line_of(journey: journey_pb2.Journey) -> str:
    """One line; the name, which may be long, stands last."""
    status = journey_pb2.JourneyStatus.Name(journey.status).removeprefix("JOURNEY_STATUS_")
    return f"{journey.journey_id:36}  {status:14}  r{journey.revision:<4}  {journey.definition.name}"


def _show_changes(file: Path, answer: pb.ApplyJourneyResponse, created: str, unchanged: str) -> None:
    journey = answer.journey
    if answer.created:
        say(f"{file}: {journey.definition.name!r} {created} {journey.journey_id}".rstrip())
    elif not answer.changes:
        say(f"{file}: {journey.definition.name!r}: {unchanged}")
    else:
        say(f"{file}: {line_of(journey)}")
        for change in answer.changes:
            say(f"  {_changed(change)}")


def _changed(change: validation_pb2.DefinitionChange) -> str:
    if not change.before_value:
        return f"+ {change.field}: {change.after_value}"
    if not change.after_value:
        return f"- {change.field}: {change.before_value}"
    return f"~ {change.field}: {change.before_value} → {change.after_value}"


def _field_and_fault(fault: validation_pb2.DefinitionFault) -> str:
    return f"{fault.field}: {fault.message}"


def _show_refusal(error: grpc.aio.AioRpcError, where: str) -> None:
    """A line a fault; those of texts as compilers have them, with file and line."""
    refusal = remote_error(error)
    complain(f"{where}: {refusal_of(error)}".removeprefix(": "))
    for fault in refusal.violations:
        at = _LINE.fullmatch(fault.description)
        if at is None:
            complain(f"  {fault.field}: {fault.description}")
        else:
            complain(f"{where}:{at[1]}: {fault.field}: {at[2]}")
