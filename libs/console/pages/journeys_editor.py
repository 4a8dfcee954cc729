"""The editor of a journey. Each change is saved as it is made: a revision of the draft, which can be undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.audiences.builder import Builder
from libs.console.audiences.tree import Item, is_changed_by, read_tree
from libs.console.audiences.tree import tree_of as conditions_of
from libs.console.faults import Faults, sentence_of
from libs.console.formats import MICROS, parts_of
from libs.console.journeys import node_forms, setting_forms
from libs.console.journeys.choices import Choices, choices_of
from libs.console.journeys.content_previews import preview_of
from libs.console.journeys.found_faults import FoundFaults
from libs.console.journeys.quiet_week import drawn_week
from libs.console.journeys.reading import Reader
from libs.console.journeys.shaping import drop_unreached, insert, remove
from libs.console.journeys.summaries import Summaries
from libs.console.journeys.tree import tree_of
from libs.console.journeys.trigger_forms import STARTING, WAITED
from libs.console.journeys.words import CAPPED, DRAFT, EDITABLE, NODES, STATUSES, TRIGGERS, WEEKDAYS
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.pages.journeys import read_journey
from libs.console.pages.journeys_simulation import render_review
from libs.console.visits import Visit
from omnijourney.client import CallError
from omnijourney.journey.v1 import journey_service_pb2 as service
from omnijourney.journey.v1.journey_pb2 import Definition, Journey
from omnijourney.journey.v1.node_pb2 import Node
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.attribute_pb2 import Attribute

routes = web.RouteTableDef()
_PUBLISHED = noted("The journey is published.")
_FULL = noted("A journey has at most 200 nodes.")
_NO_PLACE = noted("This place is not there any more: somebody changed the tree.")
_UNDONE = noted("The last change is undone.")
_NOTHING = noted("There is nothing to undo.")
_NOT_PUBLISHED = noted("It cannot be published yet: mend the faults first.")


@dataclass(slots=True)
class Editor:
    """One request's."""

    visit: Visit
    journey: Journey
    choices: Choices
    faults: Faults = field(default_factory=Faults)
    """Of the form that was sent."""
    is_changed: bool = False
    """Whether somebody else changed the journey since the form was read."""
    conditions: Item | None = None
    """Of a condition's form that was sent; None: as they are saved."""

    @classmethod
    async def of(cls, request: web.Request) -> Editor:
        """With the journey that the address names. Raises CallError."""
        visit = Visit.of(request)
        journey, choices = await asyncio.gather(
            read_journey(visit, request.match_info["journey_id"]), choices_of(visit)
        )
        return cls(visit, journey, choices)

    @property
    def address(self) -> str:
        """Of the journey's page."""
        return f"/journeys/{self.journey.journey_id}"

    @property
    def fixed(self) -> bool:
        """Whether trigger, channels, active time and the shape of the tree stay as they are."""
        return self.journey.status != DRAFT

    @property
    def currency(self) -> str:
        """The team's."""
        assert self.visit.team is not None
        return self.visit.team.settings.currency_code

    def node(self, node_id: str) -> Node | None:
        """One of its nodes."""
        return next((each for each in self.journey.definition.nodes if each.node_id == node_id), None)

    async def save(self, change: Callable[[Definition], None], etag: str) -> bool:
        """Changes the definition and saves it; what is refused is in `faults`."""
        definition = Definition()
        definition.CopyFrom(self.journey.definition)
        change(definition)
        if self.faults:
            return False
        if definition == self.journey.definition:
            return True
        paths = [each.name for each in Definition.DESCRIPTOR.fields]
        request = service.UpdateJourneyRequest(
            team_id=self.visit.team_id,
            journey_id=self.journey.journey_id,
            definition=definition,
            update_mask=FieldMask(paths=paths),
            etag=etag,
        )
        try:
            self.journey = (await self.visit.call(self.visit.client.journey.UpdateJourney, request)).journey
        except CallError as error:
            self.is_changed = error.reason in {"ETAG_MISMATCH", "WRITE_CONFLICT"}
            names = self._names(definition)
            if self.conditions is not None:
                builder = Builder(self.visit, self.conditions, self.choices)
                for index, node in enumerate(definition.nodes):
                    if node.HasField("condition") and node.condition.audience == builder.audience:
                        names |= builder.names(f"definition.nodes[{index}].condition.audience")
            self.faults = Faults.of(
                error, names, say=self.visit.say, whole=self.visit.say(sentence_of(error))
            )
            return False
        return True

    def _names(self, definition: Definition) -> dict[str, str]:
        names = {
            f"definition.{path}": name for path, name in setting_forms.NAMES.items()
        } | setting_forms.NAMES
        for index, _ in enumerate(definition.nodes):
            for before in ("", "definition."):
                names |= {f"{before}nodes[{index}].{path}": name for path, name in node_forms.NAMES.items()}
        return names

    async def found(self) -> FoundFaults:
        """What keeps it from being published. Raises CallError."""
        asked = service.ValidateJourneyRequest(
            team_id=self.visit.team_id,
            journey_id=self.journey.journey_id,
            language_code=self.visit.language,
        )
        answer = await self.visit.call(self.visit.client.journey.ValidateJourney, asked)
        return FoundFaults(
            self.journey.definition, list(answer.faults), list(answer.warnings), self.visit.say
        )

    async def live_count(self, node: Node | None) -> int | None:
        """How many customers a condition holds for now; None for what is no condition, or cannot be counted yet."""
        if node is None or node.condition.audience.WhichOneof("expression") is None:
            return None
        asked = segment.CountAudienceRequest(team_id=self.visit.team_id, audience=node.condition.audience)
        try:
            answer = await self.visit.call(self.visit.client.segment.CountAudience, asked)
        except CallError:
            return None
        return int(answer.customer_count)

    async def render(
        self, *, node: str = "", add: str = "", status: int = 200, undone: int = 0
    ) -> web.Response:
        """The whole editor, or, for a script, what changes while one types."""
        chosen = self.node(node)
        found, live_count, preview = await asyncio.gather(
            self.found(), self.live_count(chosen), preview_of(self.visit, chosen)
        )
        builder = self._builder(chosen)
        names = {**node_forms.NAMES, **(builder.names("condition.audience") if builder else {})}
        faults = self.faults
        if not faults:
            faults = found.of_node(node, names) if chosen else found.of_settings(setting_forms.NAMES)
        say = self.visit.say
        template = "journeys/edit_part.html" if self.visit.is_part else "journeys/edit.html"
        return self.visit.render(
            template,
            status=status,
            journey=self.journey,
            definition=self.journey.definition,
            address=self.address,
            tree=tree_of(self.journey.definition),
            summaries=Summaries(self.visit, self.choices),
            choices=self.choices,
            kinds=NODES,
            statuses=STATUSES,
            found=found,
            faulty=found.by_node,
            faults=faults,
            refused=self.faults,
            no_faults=Faults(),
            plain_amount=lambda amount: f"{Decimal(amount.amount_micros) / MICROS:f}",
            fixed=self.fixed,
            node=chosen,
            kind=chosen.WhichOneof("kind") if chosen else "",
            add=add,
            undone=undone or self.journey.revision,
            channels=CHANNELS,
            capped=CAPPED,
            targets={each.channel: each for each in self.journey.definition.targets},
            currency=self.currency,
            weekdays=WEEKDAYS,
            week=drawn_week(self.journey.definition.do_not_disturb),
            starting=[(each, say(TRIGGERS[each.upper()])) for each in STARTING],
            waited=[(each, say(TRIGGERS[each.upper()])) for each in WAITED],
            builder=builder,
            live_count=live_count,
            preview=preview,
            media_fields=node_forms.MEDIA_FIELDS,
            parts_of=parts_of,
            field_of=self.visit.formats.field,
            is_draft=self.journey.status == DRAFT,
        )

    def _builder(self, node: Node | None) -> Builder | None:
        if node is None or not node.HasField("condition"):
            return None
        root = self.conditions or conditions_of(node.condition.audience, self.attributes)
        return Builder(self.visit, root, self.choices)

    @property
    def attributes(self) -> dict[str, Attribute]:
        """Those in use, by key."""
        return {each.key: each for each in self.choices.attributes}


@routes.get("/journeys/{journey_id}/edit")
async def edit(request: web.Request) -> web.Response:
    """The editor, with the form of a node, of the settings, or of what can be added at a place; where nothing can be
    changed, the journey's page."""
    editor = await Editor.of(request)
    if editor.journey.status not in EDITABLE or not editor.visit.session.may_write:
        return editor.visit.go(editor.address)
    undone = request.query.get("undone", "")
    return await editor.render(
        node=request.query.get("node", ""),
        add=request.query.get("add", ""),
        undone=int(undone) if undone.isascii() and undone.isdecimal() and len(undone) < 10 else 0,
    )


@routes.post("/journeys/{journey_id}/settings")
async def save_settings(request: web.Request) -> web.Response:
    """Saves name, active time, quiet time, limits, trigger and channels."""
    editor = await Editor.of(request)
    reader = Reader(await editor.visit.form(), editor.visit.say)

    def change(definition: Definition) -> None:
        formats = editor.visit.formats
        setting_forms.read_settings(reader, definition, formats, editor.currency, fixed=editor.fixed)
        editor.faults = reader.faults

    return await _saved(editor, change, reader.text("etag"))


@routes.post("/journeys/{journey_id}/nodes")
async def add_node(request: web.Request) -> web.Response:
    """Puts a node in at a place and shows its form."""
    editor = await Editor.of(request)
    form = await editor.visit.form()
    made: list[str] = []

    def change(definition: Definition) -> None:
        try:
            made.append(insert(definition, str(form.get("place", "")), str(form.get("kind", ""))))
        except (KeyError, ValueError) as error:
            editor.faults.add("", editor.visit.say(_FULL if isinstance(error, ValueError) else _NO_PLACE))

    if not await editor.save(change, str(form.get("etag", ""))):
        return await editor.render(status=422)
    return editor.visit.go(f"{editor.address}/edit?node={made[0]}#panel")


@routes.post("/journeys/{journey_id}/nodes/{node_id}")
async def save_node(request: web.Request) -> web.Response:
    """Saves what a node does."""
    editor = await Editor.of(request)
    form = await editor.visit.form()
    reader = Reader(form, editor.visit.say)
    node_id = request.match_info["node_id"]
    editor.conditions = read_tree(form, editor.attributes)
    if editor.conditions is not None and is_changed_by(editor.conditions, reader.text("do")):
        return await editor.render(node=node_id)

    def change(definition: Definition) -> None:
        node = next((each for each in definition.nodes if each.node_id == node_id), None)
        if node is None:
            editor.faults.add("", editor.visit.say(_NO_PLACE))
            return
        node_forms.read_node(reader, node, editor.choices, editor.currency, fixed=editor.fixed)
        if not editor.fixed:
            drop_unreached(definition)
        editor.faults = reader.faults

    return await _saved(editor, change, reader.text("etag"), node_id)


@routes.post("/journeys/{journey_id}/nodes/{node_id}/delete")
async def delete_node(request: web.Request) -> web.Response:
    """Takes a node out of the tree."""
    editor = await Editor.of(request)
    form = await editor.visit.form()

    def change(definition: Definition) -> None:
        try:
            remove(definition, request.match_info["node_id"])
        except KeyError:
            editor.faults.add("", editor.visit.say(_NO_PLACE))

    if not await editor.save(change, str(form.get("etag", ""))):
        return await editor.render(status=422)
    return editor.visit.go(f"{editor.address}/edit")


@routes.post("/journeys/{journey_id}/undo")
async def undo(request: web.Request) -> web.Response:
    """Makes the revision before the one that is shown the newest."""
    editor = await Editor.of(request)
    undone = str((await editor.visit.form()).get("undone", ""))
    shown = int(undone) if undone.isascii() and undone.isdecimal() and len(undone) < 10 else 0
    if not 1 < shown <= editor.journey.revision:
        return editor.visit.go(f"{editor.address}/edit", _NOTHING)
    asked: Any = service.RestoreRevisionRequest(
        team_id=editor.visit.team_id, journey_id=editor.journey.journey_id, revision=shown - 1
    )
    await editor.visit.call(editor.visit.client.journey.RestoreRevision, asked)
    return editor.visit.go(f"{editor.address}/edit?undone={shown - 1}", _UNDONE)


@routes.post("/journeys/{journey_id}/publish")
async def publish(request: web.Request) -> web.Response:
    """Makes it live, or shows what is wrong."""
    editor = await Editor.of(request)
    asked = service.PublishJourneyRequest(
        team_id=editor.visit.team_id,
        journey_id=editor.journey.journey_id,
        etag=str((await editor.visit.form()).get("etag", "")),
    )
    try:
        await editor.visit.call(editor.visit.client.journey.PublishJourney, asked)
    except CallError as error:
        said = _NOT_PUBLISHED if error.violations else sentence_of(error)
        refused = Faults({"": editor.visit.say(said)})
        return await render_review(editor.visit, editor.journey, refused=refused)
    return editor.visit.go(editor.address, _PUBLISHED)


async def _saved(
    editor: Editor, change: Callable[[Definition], None], etag: str, node_id: str = ""
) -> web.Response:
    saved = await editor.save(change, etag)
    if editor.visit.is_part or not saved:
        return await editor.render(node=node_id, status=200 if saved else 409 if editor.is_changed else 422)
    part = f"?node={node_id}" if node_id else ""
    if sample := str((await editor.visit.form()).get("sample", "")):
        part += f"&sample={quote(sample)}"
    return editor.visit.go(f"{editor.address}/edit{part}#panel", noted("Saved."))
