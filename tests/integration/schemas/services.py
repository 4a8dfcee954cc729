"""The services that keep a schema, and the files of their functions."""

from typing import Final

from libs.common.db.sql_files import Function, read_functions

SERVICES: Final = ("channel_gateway", "journey", "points", "segment", "stats")
PLATFORM: Final = "platform"


def functions_of(schema: str) -> list[Function]:
    """The functions that belong into a schema, those that all services share among them."""
    if schema == PLATFORM:
        return read_functions("libs.common.db", "platform_functions")
    shared = read_functions("libs.common.db", "shared_functions")
    return shared + read_functions(f"services.{schema}", "sql/functions")
