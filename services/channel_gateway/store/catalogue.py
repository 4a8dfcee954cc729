"""Accounts, content and prices that sends are made of: read once, kept in memory, and checked by each reservation.

What is kept may be old. A reservation made of it says which versions it saw, and the database refuses it when they are
no longer the present ones: so nothing is sent of content that is gone (J-07), and nothing is read that did not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from services.channel_gateway.domain.content import BotModule, ModuleContent, Template, TemplateContent
from services.channel_gateway.domain.model import Account, AccountState, Price, Send
from services.channel_gateway.domain.prepare import Catalogue
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.rows import module_of, template_of
from services.channel_gateway.store.vault import Vault

KEPT_MAX: Final = 10_000
"""Teams, modules and templates kept in memory; beyond that all are forgotten and read again."""
KEPT_BYTES_MAX: Final = 32 * 1024 * 1024
"""The same by what was read since all were forgotten, as the database holds it: read, it takes some times as much."""

ContentKey = tuple[UUID, UUID]
"""Team, id."""


class TeamAccounts(NamedTuple):
    """A team's accounts and prices as of one moment."""

    accounts: dict[ContentKey, Account]
    """Without the deleted ones, oldest first."""
    defaults: dict[tuple[UUID, int], Account]
    """By team and channel: the oldest active one, else the oldest."""
    version: int
    """Sum of the versions of all accounts, deleted ones included: rises with every change."""
    prices: dict[tuple[UUID, int], Price]
    """The team's own, by team and channel."""
    capped: bool = False
    """Whether it has a frequency cap; setting one raises the version."""


class Found(NamedTuple):
    """What was found of what a batch names."""

    teams: dict[UUID, TeamAccounts]
    modules: dict[ContentKey, BotModule]
    templates: dict[ContentKey, Template]
    size: int = 0
    """Bytes of what was read."""

    def catalogue(self) -> Catalogue:
        """It all as the domain sees it."""
        accounts: dict[ContentKey, Account] = {}
        defaults: dict[tuple[UUID, int], Account] = {}
        prices: dict[tuple[UUID, int], Price] = {}
        for team in self.teams.values():
            accounts |= team.accounts
            defaults |= team.defaults
            prices |= team.prices
        versions = {team_id: team.version for team_id, team in self.teams.items()}
        capped = frozenset(team_id for team_id, team in self.teams.items() if team.capped)
        return Catalogue(accounts, defaults, self.modules, self.templates, prices, versions, capped)


class Kept:
    """What was read, for the next batch."""

    def __init__(self) -> None:
        """Nothing."""
        self._found = Found({}, {}, {})
        self._size = 0

    def held(self, teams: set[UUID], modules: set[ContentKey], templates: set[ContentKey]) -> Found:
        """What is kept of these."""
        found = self._found
        return Found(
            {key: found.teams[key] for key in teams if key in found.teams},
            {key: found.modules[key] for key in modules if key in found.modules},
            {key: found.templates[key] for key in templates if key in found.templates},
        )

    def keep(self, read: Found) -> None:
        """Keeps it, and forgets all else where that is too much together."""
        self._size += read.size
        count = len(self._found.teams) + len(self._found.modules) + len(self._found.templates)
        if count > KEPT_MAX or self._size > KEPT_BYTES_MAX:
            self._found, self._size = Found({}, {}, {}), read.size
        self._found.teams.update(read.teams)
        self._found.modules.update(read.modules)
        self._found.templates.update(read.templates)

    def forget(self, catalogue: Catalogue) -> None:
        """Something of it has changed."""
        for team_id in catalogue.account_versions:
            self._found.teams.pop(team_id, None)
        for key in catalogue.modules:
            self._found.modules.pop(key, None)
        for key in catalogue.templates:
            self._found.templates.pop(key, None)


class CatalogueStore:
    """Reads the catalogue of a batch, from memory where it can."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        """`pool` of the service's own role; `vault` opens the accounts' secrets."""
        self._pool = pool
        self._vault = vault
        self._memory = Kept()

    async def kept(self, sends: Sequence[Send]) -> Catalogue:
        """The catalogue of a batch, for a reservation that checks it; reads only what is not in memory."""
        teams, modules, templates = _named(sends)
        held = self._memory.held(teams, modules, templates)
        missing = (
            teams - held.teams.keys(),
            modules - held.modules.keys(),
            templates - held.templates.keys(),
        )
        if not any(missing):
            return held.catalogue()
        async with transaction(self._pool, teams) as connection:
            read = await self._read(connection, *missing)
        # Not from memory again: another batch may have forgotten meanwhile what was held above.
        return Found(
            held.teams | read.teams, held.modules | read.modules, held.templates | read.templates
        ).catalogue()

    async def read(self, connection: Connection, sends: Sequence[Send]) -> Catalogue:
        """The catalogue of a batch as it is now, in a transaction that is bound to the batch's teams."""
        return (await self._read(connection, *_named(sends))).catalogue()

    async def of_team(self, team_id: UUID, contents: Iterable[ModuleContent | TemplateContent]) -> Catalogue:
        """The accounts of a team and some contents, as they are now."""
        modules: set[ContentKey] = set()
        templates: set[ContentKey] = set()
        for content in contents:
            if isinstance(content, ModuleContent):
                modules.add((team_id, content.bot_module_id))
            elif isinstance(content, TemplateContent):
                templates.add((team_id, content.template_id))
        async with transaction(self._pool, [team_id]) as connection:
            return (await self._read(connection, {team_id}, modules, templates)).catalogue()

    def forget(self, catalogue: Catalogue) -> None:
        """Something of it has changed: it is read again when it is needed next."""
        self._memory.forget(catalogue)

    async def _read(
        self, connection: Connection, teams: set[UUID], modules: set[ContentKey], templates: set[ContentKey]
    ) -> Found:
        found, size = Found({}, {}, {}), 0
        if teams:
            read, size = await _read_teams(connection, self._vault, teams)
            found.teams.update(read)
        if modules:
            rows = await connection.fetch(QUERIES["find_modules"], *columns(modules, 2))
            size += sum(len(row["cards"]) for row in rows)
            found.modules.update(((row["team_id"], row["bot_module_id"]), module_of(row)) for row in rows)
        if templates:
            rows = await connection.fetch(QUERIES["find_templates"], *columns(templates, 2))
            size += sum(len(name) for row in rows for name in (row["name"], *row["parameter_names"]))
            found.templates.update(((row["team_id"], row["template_id"]), template_of(row)) for row in rows)
        found = found._replace(size=size)
        self._memory.keep(found)
        return found


def _named(sends: Sequence[Send]) -> tuple[set[UUID], set[ContentKey], set[ContentKey]]:
    """The teams, modules and templates that a batch names."""
    teams: set[UUID] = set()
    modules: set[ContentKey] = set()
    templates: set[ContentKey] = set()
    for send in sends:
        teams.add(send.team_id)
        content = send.content
        if isinstance(content, ModuleContent):
            modules.add((send.team_id, content.bot_module_id))
        elif isinstance(content, TemplateContent):
            templates.add((send.team_id, content.template_id))
    return teams, modules, templates


async def _read_teams(
    connection: Connection, vault: Vault, teams: set[UUID]
) -> tuple[dict[UUID, TeamAccounts], int]:
    """Accounts and prices of each, and the bytes of the accounts."""
    found = {team_id: TeamAccounts({}, {}, 0, {}) for team_id in teams}
    size = 0
    for row in await connection.fetch(*QUERIES.bind("team_accounts", teams=list(teams))):
        team = found[row["team_id"]]
        size += len(row["connection"]) + len(row["sealed"] or b"")
        found[row["team_id"]] = team._replace(version=team.version + row["version"])
        if not row["deleted"]:
            _add(team, vault.account_of(row))
    for row in await connection.fetch(*QUERIES.bind("find_prices", teams=list(teams))):
        found[row["team_id"]].prices[row["team_id"], row["channel"]] = Price(row["currency"], row["micros"])
    for row in await connection.fetch(*QUERIES.bind("find_capped_teams", teams=list(teams))):
        found[row["team_id"]] = found[row["team_id"]]._replace(capped=True)
    return found, size


def _add(team: TeamAccounts, account: Account) -> None:
    """Adds the next younger account."""
    team.accounts[account.team_id, account.account_id] = account
    key = (account.team_id, account.channel)
    present = team.defaults.get(key)
    if present is None or (present.state is not AccountState.ACTIVE and account.state is AccountState.ACTIVE):
        team.defaults[key] = account
