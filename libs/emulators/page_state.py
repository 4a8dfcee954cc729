"""What the emulators of Messenger and Instagram know: accounts, and the people who wrote to them."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.emulators.base import parse_time
from libs.emulators.page_errors import PageError
from libs.emulators.page_rules import Dialect

WINDOW = timedelta(hours=24)
"""How long after a person's last act everything may be sent."""
AGENT_WINDOW = timedelta(days=7)
"""The same for what a human writes, with the tag HUMAN_AGENT."""
_STATES = ("normal", "blocked")


@dataclass(frozen=True, slots=True)
class PageAccount:
    """A page, or an Instagram account."""

    account_id: str
    token: str
    page_id: str = ""
    """Instagram: the page behind it."""
    app_secret: str = ""
    """Proves calls. Empty: none is looked at."""
    proof_required: bool = False
    """Calls without proof are refused."""
    restricted: bool = False
    """The platform lets it send nothing for a while."""


@dataclass(slots=True)
class PageState:
    """All memory of one emulator; rebuilt from its journal of commands."""

    dialect: Dialect
    first: PageAccount
    accounts: dict[str, PageAccount] = field(default_factory=dict)
    last_inbound: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """By account and person."""
    blocked: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Back to a first start: one account to which nobody ever wrote."""
        self.accounts = {self.first.account_id: self.first}
        self.last_inbound.clear()
        self.blocked.clear()

    def account_of(self, owner: str, token: str, proof: str) -> PageAccount:
        """The account of a request, by its id, its page's, or `me`; raises PageError."""
        mine = [account for account in self.accounts.values() if account.token == token]
        if not mine:
            raise PageError(190, details="")
        for account in mine:
            if owner in ("me", account.account_id, account.page_id):
                _check_proof(account, token, proof)
                return account
        raise PageError(100, 33, f"Object with ID '{owner}' does not exist")

    def check_person(self, account: PageAccount, person: str, tag: str, now: datetime) -> None:
        """Raises PageError where the account may not write to the person."""
        if account.restricted:
            raise PageError(*((10, 1893063) if self.dialect.name == "page" else (100, 2534029)))
        key = (account.account_id, person)
        last = self.last_inbound.get(key)
        if last is None:
            raise PageError(*self.dialect.stranger)
        if key in self.blocked:
            raise PageError(551, 1545041)
        if now - last >= (AGENT_WINDOW if tag == "HUMAN_AGENT" else WINDOW):
            raise PageError(*self.dialect.outside_window)

    def apply(self, command: Mapping[str, Any]) -> None:
        """Applies one command; raises ValueError or KeyError when it is malformed."""
        handlers = {"account": self._account, "inbound": self._inbound, "person": self._person}
        handler = handlers.get(command["command"])
        if handler is None:
            raise ValueError(f"unknown command {command['command']}")
        handler(command)

    def _account(self, command: Mapping[str, Any]) -> None:
        account = PageAccount(
            str(command["account_id"]),
            str(command["token"]),
            str(command.get("page_id", "")),
            str(command.get("app_secret", "")),
            bool(command.get("proof_required", False)),
            bool(command.get("restricted", False)),
        )
        self.accounts[account.account_id] = account

    def _inbound(self, command: Mapping[str, Any]) -> None:
        key = (str(command["account_id"]), str(command["person_id"]))
        self.last_inbound[key] = parse_time(command["at"])
        self.blocked.discard(key)

    def _person(self, command: Mapping[str, Any]) -> None:
        if command["state"] not in _STATES:
            raise ValueError(f"state is one of {', '.join(_STATES)}")
        key = (str(command["account_id"]), str(command["person_id"]))
        self.blocked.discard(key)
        if command["state"] == "blocked":
            self.blocked.add(key)


def _check_proof(account: PageAccount, token: str, proof: str) -> None:
    if not proof:
        if account.proof_required:
            raise PageError(100, details="API calls from the server require an appsecret_proof argument")
        return
    right = hmac.new(account.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    if account.app_secret and not hmac.compare_digest(proof, right):
        raise PageError(100, details="Invalid appsecret_proof provided in the API argument")
