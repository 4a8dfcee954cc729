"""Puts the console together and serves it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from libs.console import pages
from libs.console.clients import Clients
from libs.console.config import ConsoleSettings
from libs.console.guard import guard
from libs.console.languages import read_words
from libs.console.provider import Provider
from libs.console.rendering import STATIC, Pages
from libs.console.sessions import Sealer
from libs.console.visits import SITE, Site

FORM_BYTES_MAX: Final = 2 * 1024 * 1024
"""Largest form that is read as a whole: a definition of 512 KiB and what stands around it."""
SHUTDOWN_S: Final = 3.0
"""How long requests that are under way may take to end."""


def make_app(settings: ConsoleSettings) -> web.Application:
    """The application, which calls services from its first page on. Raises OSError where it finds no key, ValueError
    where the people file became unusable meanwhile."""
    found = list(pages.found())
    words = read_words()
    site = Site(
        settings=settings,
        clients=Clients(settings.targets(), settings.tls_of_calls()),
        pages=Pages(words),
        words=words,
        sealer=Sealer(settings.session_keys()),
        provider=Provider.of(settings),
        areas=sorted((area for _, areas in found for area in areas), key=lambda area: area.place),
    )
    app = web.Application(middlewares=[guard], client_max_size=FORM_BYTES_MAX)
    app[SITE] = site
    app.router.add_static(f"/static/{site.pages.version}", STATIC, follow_symlinks=False)
    for routes, _ in found:
        app.router.add_routes(routes)
    app.on_cleanup.append(_close)
    return app


async def _close(app: web.Application) -> None:
    site = app[SITE]
    if site.provider is not None:
        await site.provider.close()
    await site.clients.close()


@asynccontextmanager
async def serving(settings: ConsoleSettings) -> AsyncIterator[str]:
    """Serves it; the address for browsers. Raises OSError when the port is taken."""
    runner = web.AppRunner(make_app(settings), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        tls = settings.tls
        context = None
        if tls is not None:
            context = tls.server_context()
            # A certificate is asked of programs; people show a token.
            context.verify_mode = ssl.CERT_NONE
        await web.TCPSite(runner, settings.bind_host, settings.console_port, ssl_context=context).start()
        port: int = runner.addresses[0][1]
        scheme = "https" if tls is not None else "http"
        yield settings.console_url or f"{scheme}://{settings.bind_host}:{port}"
    finally:
        await runner.cleanup()
