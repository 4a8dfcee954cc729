"""What a page knows of the request that it answers: who asks, for which team, in which language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiDictProxy

from libs.common.clock import SystemClock
from libs.common.ids import new_id
from libs.console.clients import CALL_S, Clients
from libs.console.config import ConsoleSettings
from libs.console.faults import Faults
from libs.console.field_faults import in_words
from libs.console.formats import Formats, zone_of
from libs.console.import_words import change_in_words
from libs.console.languages import LOCALES, OWN_NAMES, Words
from libs.console.navigation import Area
from libs.console.paging import Paging
from libs.console.provider import Provider
from libs.console.rendering import Pages
from libs.console.sessions import Sealer, Session
from omnijourney.client import AsyncClient
from omnijourney.segment.v1.team_pb2 import Team

PAGE_SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests of a process share."""

    settings: ConsoleSettings
    clients: Clients
    pages: Pages
    words: Mapping[str, Words]
    sealer: Sealer
    provider: Provider | None
    """What people may sign in by, besides tokens."""
    areas: Sequence[Area]


SITE: Final = web.AppKey("site", Site)
_VISIT: Final[web.RequestKey[Visit]] = web.RequestKey("visit", object)  # type: ignore[arg-type]


@dataclass(slots=True)
class Visit:
    """One request's."""

    request: web.Request
    site: Site
    session: Session
    language: str
    request_id: str = field(default_factory=lambda: new_id().hex)
    team: Team | None = None
    """The team whose data is shown; None before one is chosen."""

    clock_lag: timedelta = timedelta()
    """How far the installation's clock is behind the machine's; read for who may look after the installation."""

    @classmethod
    def of(cls, request: web.Request) -> Visit:
        """The visit that the guard made for this request."""
        return request[_VISIT]

    def attach(self) -> None:
        """Makes `of` find it."""
        self.request[_VISIT] = self

    @property
    def client(self) -> AsyncClient:
        """Calls as whoever is signed in."""
        return self.site.clients.of(self.session.token)

    @property
    def team_id(self) -> str:
        """For requests."""
        return self.session.team_id

    @property
    def formats(self) -> Formats:
        """How this visitor reads dates and numbers of this team."""
        zone = self.team.settings.time_zone if self.team is not None else "UTC"
        return Formats(self.site.words[self.language].locale, zone_of(zone))

    @property
    def today(self) -> date:
        """The day of the team's zone by the installation's clock."""
        return (SystemClock().now() - self.clock_lag).astimezone(self.formats.zone).date()

    def say(self, sentence: str, **values: object) -> str:
        """A sentence of ours (English, marked by `noted` or written here) in the visitor's language."""
        said = self.site.words[self.language].gettext(sentence)
        return said % values if values else said

    def count(self, count: int, one: str, many: str) -> str:
        """A sentence of ours that counts, `%(n)s` being the number, in the visitor's language."""
        return self.site.words[self.language].ngettext(one, many, count) % {"n": self.formats.number(count)}

    async def call(self, rpc: Any, request: Any) -> Any:
        """Calls an RPC in the time that a page has. Raises CallError, which becomes a page by itself."""
        return await rpc(request, timeout=CALL_S)

    async def form(self) -> MultiDictProxy[Any]:
        """What a form sent."""
        return await self.request.post()

    def render(self, template: str, *, status: int = 200, **context: Any) -> web.Response:
        """A page, or a part of one."""
        shared = {**self._shared, "answer_status": status, "page_faults": context.get("faults", Faults())}
        text = self.site.pages.render(self.language, template, {**shared, **context})
        return web.Response(text=text, content_type="text/html", status=status)

    def go(self, path: str, done: str = "", **values: object) -> web.Response:
        """After a form: shows `path`, with the sentence `done` above it."""
        if done:
            self.session.note("done", self.say(done, **values))
        return web.Response(status=303, headers={"Location": path})

    def page_link(self, page_token: str) -> str:
        """The address of this listing's page with that token, its filters kept; empty without a token."""
        return self.pages.onwards(page_token)

    @property
    def pages(self) -> Paging:
        """The pages of this listing."""
        return Paging(self.request.path, self.request.query)

    @property
    def _shared(self) -> dict[str, Any]:
        formats = self.formats
        return {
            "visit": self,
            "session": self.session,
            "csrf": self.session.csrf,
            "team": self.team,
            "areas": self.site.areas if self.team is not None else (),
            "path": self.request.path,
            "language": self.language,
            "languages": [(code, OWN_NAMES[code]) for code in LOCALES],
            "request_id": self.request_id,
            "faults": Faults(),
            "moment": formats.moment,
            "day": formats.day,
            "number": formats.number,
            "percent": formats.percent,
            "money": formats.money,
            "say": self.say,
            "in_words": partial(in_words, self.say),
            "change_in_words": partial(change_in_words, self.say),
        }

    @property
    def is_part(self) -> bool:
        """Whether a script asks for a part of a page."""
        return self.request.headers.get("X-Requested-With") == "fetch"


def local_path(given: str, otherwise: str = "/") -> str:
    """A path of ours that a form sent, else another one: nobody is sent to other sites."""
    parts = urlsplit(given)
    own = given.startswith("/") and not given.startswith(("//", "/\\")) and not (parts.scheme or parts.netloc)
    return given if own and given.isprintable() else otherwise
