"""Signing in and out, the team and the language, and the way in."""

from __future__ import annotations

import grpc
from aiohttp import web

from libs.console.clients import CALL_S
from libs.console.faults import Faults, sentence_of
from libs.console.guard import LANGUAGE_COOKIE
from libs.console.languages import LOCALES, noted
from libs.console.provider import BACK_PATH, SignInError
from libs.console.sessions import Session
from libs.console.visits import PAGE_SIZE, Visit, local_path
from omnijourney.client import CallError
from omnijourney.segment.v1 import segment_service_pb2 as segment

routes = web.RouteTableDef()

_COOKIE_S = 365 * 24 * 3600
_REFUSED = noted("No client has this token: it is mistyped, revoked or has expired.")
_ENDED = noted(
    "The API client that you act as was revoked or has expired. Tell whoever runs the installation."
)
_NO_TOKEN = noted("Enter the token of an API client.")


@routes.get("/health")
async def health(_request: web.Request) -> web.Response:
    """For whoever starts the process."""
    return web.Response(text="ok")


@routes.get("/")
async def home(request: web.Request) -> web.Response:
    """The first area."""
    visit = Visit.of(request)
    return visit.go(visit.site.areas[0].path if visit.site.areas else "/team")


@routes.get("/sign-in")
async def sign_in_form(request: web.Request) -> web.Response:
    """Asks for a token."""
    visit = Visit.of(request)
    back = local_path(request.query.get("back", ""))
    if visit.session.is_signed_in:
        return visit.go(back)
    return visit.render("sign_in.html", back=back, has_provider=visit.site.provider is not None)


@routes.post("/sign-in")
async def sign_in(request: web.Request) -> web.Response:
    """Begins a session, if the services know the token."""
    visit = Visit.of(request)
    form = await visit.form()
    token, back = str(form.get("token", "")).strip(), local_path(str(form.get("back", "")))
    faults = Faults()
    if not (token and token.isascii() and token.isprintable() and len(token) <= 500):
        faults.add("token", visit.say(_REFUSED if token else _NO_TOKEN))
        return _refused(visit, back, faults)
    sentence = await _begin(visit, token)
    if sentence:
        faults.add("token", visit.say(sentence))
        return _refused(visit, back, faults)
    return visit.go(back if visit.session.team_id else "/team")


def _refused(visit: Visit, back: str, faults: Faults) -> web.Response:
    has_provider = visit.site.provider is not None
    return visit.render("sign_in.html", status=422, back=back, faults=faults, has_provider=has_provider)


async def _begin(visit: Visit, token: str, person: str = "") -> str:
    """Begins a session with this token; what to say where the services refuse it, else nothing."""
    try:
        known = await visit.site.clients.of(token).segment.GetCaller(
            segment.GetCallerRequest(), timeout=CALL_S
        )
    except CallError as error:
        if error.code not in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
            raise
        return _REFUSED if error.code is grpc.StatusCode.UNAUTHENTICATED else sentence_of(error)
    # Another session, with another secret: what was known of the old one is worth nothing.
    visit.session = Session.fresh()
    visit.session.token, visit.session.person, visit.session.client_name = token, person, known.name
    visit.session.scopes = tuple(known.scopes)
    visit.session.client_team_id = visit.session.team_id = known.team_id
    return ""


@routes.get("/sign-in/provider")
async def to_provider(request: web.Request) -> web.Response:
    """Sends somebody to the identity provider."""
    visit = Visit.of(request)
    provider = visit.site.provider
    if provider is None or visit.session.is_signed_in:
        return visit.go("/sign-in")
    try:
        address, visit.session.attempt = await provider.begin(local_path(request.query.get("back", "")))
    except SignInError as error:
        return _sent_back(visit, str(error))
    return visit.go(address)


@routes.get(BACK_PATH)
async def from_provider(request: web.Request) -> web.Response:
    """Takes who comes back from there."""
    visit = Visit.of(request)
    attempt, visit.session.attempt = visit.session.attempt, None
    if visit.site.provider is None or visit.session.is_signed_in:
        return visit.go("/sign-in")
    try:
        person = await visit.site.provider.finish(attempt, request.query)
    except SignInError as error:
        return _sent_back(visit, str(error))
    sentence = await _begin(visit, person.token, person.name)
    if sentence:
        return _sent_back(visit, _ENDED if sentence == _REFUSED else sentence)
    back = attempt.back if attempt is not None else "/"
    return visit.go(local_path(back) if visit.session.team_id else "/team")


def _sent_back(visit: Visit, sentence: str) -> web.Response:
    visit.session.note("fault", visit.say(sentence))
    return visit.go("/sign-in")


@routes.post("/sign-out")
async def sign_out(request: web.Request) -> web.Response:
    """Ends the session."""
    visit = Visit.of(request)
    visit.session = Session.fresh()
    return visit.go("/sign-in", noted("You are signed out."))


@routes.get("/team")
async def teams(request: web.Request) -> web.Response:
    """Lets a client of the installation choose a team."""
    visit = Visit.of(request)
    if visit.session.client_team_id:
        return visit.go("/")
    page = await visit.call(
        visit.client.segment.ListTeams,
        segment.ListTeamsRequest(page_size=PAGE_SIZE, page_token=request.query.get("page_token", "")),
    )
    return visit.render("teams.html", teams=page.teams, next_link=visit.page_link(page.next_page_token))


@routes.post("/team")
async def choose_team(request: web.Request) -> web.Response:
    """Shows another team from now on."""
    visit = Visit.of(request)
    team_id = str((await visit.form()).get("team_id", ""))
    if visit.session.client_team_id:
        return visit.go("/")
    await visit.call(visit.client.segment.GetCaller, segment.GetCallerRequest(team_id=team_id))
    await visit.site.clients.team(visit.session.token, team_id)
    visit.session.team_id = team_id
    return visit.go("/")


@routes.post("/language")
async def choose_language(request: web.Request) -> web.Response:
    """Speaks another language from now on."""
    visit = Visit.of(request)
    form = await visit.form()
    language = str(form.get("language", ""))
    answer = visit.go(local_path(str(form.get("back", ""))))
    if language in LOCALES:
        secure = visit.site.settings.serves_https
        answer.set_cookie(
            LANGUAGE_COOKIE,
            language,
            max_age=_COOKIE_S,
            path="/",
            httponly=True,
            samesite="Lax",
            secure=secure,
        )
    return answer
