"""Who of an identity provider acts as which API client: the people file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class People:
    """As which API client somebody acts, by a claim of their ID token."""

    claim: str
    tokens: Mapping[str, str]
    """By the claim's value; where several of a person's values are here, the first of this mapping counts."""

    @classmethod
    def read(cls, file: Path) -> People:
        """A TOML file: `claim`, and a table `[clients]` of tokens by the claim's values. Raises OSError for a file that
        cannot be read, ValueError for one that says something else."""
        try:
            said = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file}: {error}") from error
        claim, clients = said.get("claim", "email"), said.get("clients", {})
        if not (isinstance(claim, str) and claim):
            raise ValueError(f"{file}: claim must be the name of a claim, such as email or groups")
        if not (isinstance(clients, dict) and clients and all(map(_is_token, clients.values()))):
            raise ValueError(f'{file}: [clients] must have lines "value of the claim" = "oj_…"')
        if unknown := said.keys() - {"claim", "clients"}:
            raise ValueError(f"{file}: unknown {', '.join(sorted(unknown))}")
        return cls(claim, clients)

    def token_of(self, claims: Mapping[str, Any]) -> str:
        """The token of the first client that fits; empty where none does. An e-mail counts when it is verified."""
        said = claims.get(self.claim)
        values = {each for each in (said if isinstance(said, list) else [said]) if isinstance(each, str)}
        if self.claim == "email":
            values = {each.lower() for each in values} if claims.get("email_verified") is True else set()
            return next((token for value, token in self.tokens.items() if value.lower() in values), "")
        return next((token for value, token in self.tokens.items() if value in values), "")


def _is_token(given: object) -> bool:
    return isinstance(given, str) and given.isascii() and given.isprintable() and 0 < len(given) <= 500
