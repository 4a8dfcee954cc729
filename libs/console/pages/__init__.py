"""The pages, a module for each area.

A module has `routes` (`aiohttp.web.RouteTableDef`), and `AREAS`, what it adds to the navigation; it is found by being
here. Its templates stand in `templates/<module>/`, its words in `locale/zh_TW/<module>.po`.

    routes = web.RouteTableDef()
    AREAS = (Area(noted("Coupons"), "/coupons", 60),)

    @routes.get("/coupons")
    async def coupons(request: web.Request) -> web.Response:
        visit = Visit.of(request)
        page = await visit.call(visit.client.points.ListCoupons, points.ListCouponsRequest(team_id=visit.team_id))
        return visit.render("coupons/list.html", coupons=page.coupons, next_link=visit.page_link(page.next_page_token))

A call that fails becomes a page by itself. A form that was refused is shown again by its own page, with
`faults=refusal(visit, error, names)`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from aiohttp import web

from libs.console.navigation import Area


def found() -> Iterator[tuple[web.RouteTableDef, tuple[Area, ...]]]:
    """Routes and areas of every module, by their names."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        routes = getattr(loaded, "routes", None)
        if isinstance(routes, web.RouteTableDef):
            yield routes, getattr(loaded, "AREAS", ())
