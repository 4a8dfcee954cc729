"""What the form of an audience shows: its conditions with what can be chosen, its line and how many fit now."""

from __future__ import annotations

import asyncio
from typing import Any

from libs.common.audience.describing import describe
from libs.console.audiences.conditions import ATTRIBUTE, GROUPS, SUBJECTS, Condition, input_of, operators_of
from libs.console.audiences.tree import Item, written
from libs.console.faults import Faults, sentence_of
from libs.console.journeys.choices import Choices, Pairs
from libs.console.labels import CHANNELS, options
from libs.console.partial import part
from libs.console.visits import Visit
from omnijourney.client import CallError
from omnijourney.segment.v1 import audience_pb2 as pb
from omnijourney.segment.v1 import segment_service_pb2 as segment


class Builder:
    """For one visitor and one form."""

    def __init__(self, visit: Visit, root: Item, choices: Choices) -> None:
        """`choices` has what conditions can name."""
        self._visit = visit
        self.root = root
        self._choices = choices
        self._attributes = {each.key: each for each in choices.attributes}
        self._written = written(root, self._attributes)
        self.line = ""
        """What it says in words; empty before it was counted."""
        self.count: int | None = None
        self.faults = Faults()
        for name, sentence in self._written.wrong:
            self.faults.add(name, visit.say(sentence))

    @property
    def audience(self) -> pb.Audience:
        """What the form says."""
        return self._written.audience

    def names(self, prefix: str) -> dict[str, str]:
        """Fields of the form by the paths of a request whose `prefix` the audience is."""
        found = {f"{prefix}.{path}" if path else prefix: name for path, name in self._written.names.items()}
        return {prefix: "a-joined"} | found

    @property
    def subjects(self) -> list[tuple[str, Pairs]]:
        """What a condition can be about, under headings."""
        labels = dict(SUBJECTS)
        attributes = [(f"{ATTRIBUTE}{key}", text) for key, text in self._choices.attribute_pairs]
        found = []
        for heading, subjects in GROUPS:
            pairs: Pairs = []
            for subject in subjects:
                pairs += attributes if subject == ATTRIBUTE else [(subject, self._visit.say(labels[subject]))]
            found.append((self._visit.say(heading), pairs))
        return found

    def operators(self, condition: Condition) -> Pairs:
        """How it can ask; none before its subject is chosen."""
        found = operators_of(condition.subject, self._attributes)
        return [(value, self._visit.say(label)) for value, label in found]

    def input(self, condition: Condition) -> str:
        """See `input_of`."""
        return input_of(condition, self._attributes)

    @staticmethod
    def place(name: str) -> str:
        """Of a condition, for people: of `a-0-2` it is 1.3."""
        return ".".join(str(int(step) + 1) for step in name.split("-")[1:])

    @property
    def channels(self) -> Pairs:
        """All of them."""
        return options(CHANNELS)

    def accounts(self, channel: str) -> Pairs:
        """Of one channel."""
        return self._choices.accounts_of(int(channel)) if channel.isdecimal() else []

    @property
    def audiences(self) -> Pairs:
        """Saved ones."""
        return self._choices.audience_pairs

    @property
    def tags(self) -> list[str]:
        """Those in use."""
        return list(self._choices.tags)

    def kept_line(self, item: Item) -> str:
        """What a condition that is carried along says; a dash for one that is not whole, such as an older draft has: a
        sentence cannot be made of it, and what is wrong stands at its field."""
        kept = written(Item("group", items=[item]), self._attributes).audience
        zone = str(self._visit.formats.zone)
        try:
            return describe(kept, self._visit.language, zone, dict(self._choices.audience_pairs))
        except (AssertionError, IndexError, KeyError, ValueError):
            return "–"

    async def look(self) -> None:
        """Reads the line and the count, or what is wrong at which field. Raises CallError where nobody is signed in any
        more."""
        if self.faults or self.audience.WhichOneof("expression") is None:
            return
        client, ids = self._visit.client.segment, {"team_id": self._visit.team_id}
        asked: dict[str, Any] = {**ids, "audience": self.audience}
        described = segment.DescribeAudienceRequest(language_code=self._visit.language, **asked)
        line, _ = await asyncio.gather(
            part(self._visit, self._visit.call(client.DescribeAudience, described)),
            self._counted(segment.CountAudienceRequest(**asked)),
        )
        self.line = "" if line.fault else line.answer.text

    async def _counted(self, request: segment.CountAudienceRequest) -> None:
        try:
            answer = await self._visit.call(self._visit.client.segment.CountAudience, request)
        except CallError as error:
            whole = "" if error.violations else self._visit.say(sentence_of(error))
            self.faults = Faults.of(error, self.names("audience"), say=self._visit.say, whole=whole)
        else:
            self.count = int(answer.customer_count)
