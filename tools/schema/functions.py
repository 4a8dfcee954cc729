"""The functions that the release before calls, with what a process of it relies on."""

import json
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from libs.common.db.sql_files import Function, read_functions
from tools.paths import ROOT
from tools.schema.files import SERVICES

BASELINE: Final = ROOT / "tests" / "golden" / "functions.json"
_SIGNATURES: Final = """
SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname = $1
"""


class Signature(msgspec.Struct, frozen=True):
    """What a caller of a function relies on, and which text it has: `sha256` of the file of this `version`."""

    arguments: str
    result: str
    version: int
    sha256: str


def functions_of(service: str) -> list[Function]:
    """The functions of a service's schema, those that all services share among them."""
    shared = read_functions("libs.common.db", "shared_functions")
    return shared + read_functions(f"services.{service}", "sql/functions")


async def signatures(connection: "asyncpg.Connection[Any]") -> dict[str, Signature]:
    """All functions of the services' schemas that have a file, as `schema.name`."""
    found = {}
    for service in SERVICES:
        files = {function.name: function for function in functions_of(service)}
        for row in await connection.fetch(_SIGNATURES, service):
            if file := files.get(row["name"]):
                found[f"{service}.{file.name}"] = Signature(
                    row["arguments"], row["result"] or "", file.version, file.sha256
                )
    return dict(sorted(found.items()))


class Baseline(msgspec.Struct, frozen=True):
    """The release before: its commit, and the functions that it calls, as `schema.name`."""

    commit: str
    functions: dict[str, Signature]


def read_baseline(path: Path = BASELINE) -> Baseline:
    """What was taken as the release before."""
    return msgspec.json.decode(path.read_bytes(), type=Baseline)


def write_baseline(commit: str, found: dict[str, Signature], path: Path = BASELINE) -> None:
    """Takes a commit and the functions in use at it for the release before; those retired are left out."""
    retired = {f"{service}.{f.name}" for service in SERVICES for f in functions_of(service) if f.retired}
    kept = {name: signature for name, signature in found.items() if name not in retired}
    text = json.dumps(msgspec.to_builtins(Baseline(commit, kept)), indent=2)
    path.write_text(text + "\n", encoding="utf-8")
