"""What stands before and behind every page: who asks, whether the form is ours, what browsers may do, and what a call
that failed becomes."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import grpc
import structlog
from aiohttp import web

from libs.console.faults import ELSE, STATUSES, Faults, sentence_of
from libs.console.languages import choose, noted
from libs.console.provider import BACK_PATH
from libs.console.sessions import Session
from libs.console.visits import SITE, Visit, local_path
from omnijourney.client import CallError

COOKIE: Final = "omnijourney_session"
LANGUAGE_COOKIE: Final = "omnijourney_language"
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
OPEN_PATHS: Final = frozenset({"/sign-in", "/sign-in/provider", BACK_PATH, "/health", "/language"})
"""What is shown to anybody; besides `/static`."""
TEAMLESS_PATHS: Final = frozenset({"/sign-out", "/team"})
"""What is shown before a team is chosen."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_SAFE: Final = frozenset({"GET", "HEAD"})
_FOREIGN: Final = noted(
    "This form did not come from a page of the console, or the page is too old. Load it again."
)
_OVER: Final = noted(
    "Your session is over, so this was not done. Sign in again: you come back to the page where you were."
)
_NOT_FOUND: Final = noted("There is no such page.")
_TOO_LARGE: Final = noted("This is larger than the console takes.")
_log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request comes by here."""
    if request.path.startswith("/static/"):
        try:
            return _with_headers(await handler(request), kept=True)
        except web.HTTPException as error:
            return _with_headers(web.Response(status=error.status))
    visit = _visit(request)
    csrf, content = visit.session.csrf, visit.session.content()
    answer = await _answered(visit, handler)
    # What asks in the background must not bring back what a form has ended meanwhile.
    is_new = _cookie_name(visit) not in request.cookies
    if not answer.prepared and (is_new or visit.session.content() != content):
        _keep_session(visit, answer, csrf)
    return _with_headers(answer, visit.request_id)


def _visit(request: web.Request) -> Visit:
    site = request.app[SITE]
    language = choose(request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("Accept-Language", ""))
    visit = Visit(request, site, Session.fresh(), language)
    visit.session = site.sealer.open(request.cookies.get(_cookie_name(visit), "")) or visit.session
    visit.attach()
    return visit


async def _answered(visit: Visit, handler: Handler) -> web.StreamResponse:
    try:
        refusal = await _refusal(visit)
        return refusal if refusal is not None else await handler(visit.request)
    except CallError as error:
        return _of_call(visit, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        sentence = {404: _NOT_FOUND, 413: _TOO_LARGE}.get(error.status, ELSE)
        return fault_page(visit, error.status, sentence)
    except Exception:  # noqa: BLE001 - whatever it is, the visitor gets a page, and the log the stack
        _log.exception("a page failed", incident_id=visit.request_id)
        return fault_page(visit, 500, ELSE)


async def _refusal(visit: Visit) -> web.StreamResponse | None:
    """What is answered instead of the page, where somebody may not see it; reads the team."""
    request, session = visit.request, visit.session
    if request.method not in _SAFE and not (_is_own(visit) and await _shows_csrf(visit)):
        if _is_own(visit) and not session.is_signed_in and request.path not in OPEN_PATHS:
            session.note("fault", visit.say(_OVER))
            return _to_sign_in(urlsplit(request.headers.get("Referer", "")))
        return fault_page(visit, 403, _FOREIGN)
    if request.path in OPEN_PATHS:
        return None
    if not session.is_signed_in:
        return _to_sign_in(urlsplit(_shown(visit)))
    if session.team_id:
        visit.team = await visit.site.clients.team(session.token, session.team_id)
        if session.may_operate:
            visit.clock_lag = await visit.site.clients.clock_lag(session.token)
    elif request.path not in TEAMLESS_PATHS:
        return web.Response(status=303, headers={"Location": "/team"})
    return None


def _shown(visit: Visit) -> str:
    """The page that somebody looks at, as far as it can be asked for again."""
    is_page = visit.request.method in _SAFE and not visit.is_part
    return visit.request.path_qs if is_page else visit.request.headers.get("Referer", "")


def _to_sign_in(page: SplitResult) -> web.Response:
    """To the form, which leads back to the page: to its path, whatever site it says that it is of."""
    back = f"{page.path or '/'}{'?' if page.query else ''}{page.query}"
    return web.Response(status=303, headers={"Location": f"/sign-in?back={quote(local_path(back))}"})


def _is_own(visit: Visit) -> bool:
    """Whether the browser says that the form stood on one of our pages."""
    headers = visit.request.headers
    own = urlsplit(visit.site.settings.console_url).netloc or headers.get("Host", "")
    origin = headers.get("Origin")
    if origin is not None:
        return urlsplit(origin).netloc == own
    return headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


async def _shows_csrf(visit: Visit) -> bool:
    """A file comes with it in its address, so that it need not be read first."""
    request = visit.request
    shown = request.headers.get(CSRF_HEADER) or request.query.get(CSRF_FIELD, "")
    if not shown and request.content_type == "application/x-www-form-urlencoded":
        shown = str((await request.post()).get(CSRF_FIELD, ""))
    return secrets.compare_digest(shown.encode(), visit.session.csrf.encode())


def _of_call(visit: Visit, error: CallError) -> web.Response:
    if error.code is grpc.StatusCode.UNAUTHENTICATED:
        visit.session = Session.fresh()
        visit.session.note("fault", visit.say(sentence_of(error)))
        return _to_sign_in(urlsplit(_shown(visit)))
    if error.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}:
        incident = error.metadata.get("incident_id", "")
        _log.error("a call failed", incident_id=incident or visit.request_id, code=error.code.name)
    return fault_page(
        visit, STATUSES.get(error.code, 500), sentence_of(error), Faults.of(error, say=visit.say)
    )


def fault_page(visit: Visit, status: int, sentence: str, faults: Faults | None = None) -> web.Response:
    """A page that says what is wrong and what to do."""
    return visit.render(
        "fault_part.html" if visit.is_part else "fault.html",
        status=status,
        sentence=visit.say(sentence),
        faults=faults or Faults(),
    )


def _cookie_name(visit: Visit) -> str:
    return f"__Host-{COOKIE}" if visit.site.settings.serves_https else COOKIE


def _keep_session(visit: Visit, answer: web.StreamResponse, csrf: str) -> None:
    """A session that goes on keeps its age; one that begins or ends is another one."""
    goes_on = visit.session.csrf == csrf
    before = visit.request.cookies.get(_cookie_name(visit), "")
    answer.set_cookie(
        _cookie_name(visit),
        visit.site.sealer.seal(visit.session, before if goes_on else ""),
        max_age=visit.site.sealer.lifetime_s,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=visit.site.settings.serves_https,
    )


def _with_headers(
    answer: web.StreamResponse, request_id: str = "", *, kept: bool = False
) -> web.StreamResponse:
    if not answer.prepared:
        answer.headers.update(HEADERS)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-store"
        if request_id:
            answer.headers["X-Request-Id"] = request_id
    return answer
