"""`sql/schema.sql` shows what the migrations make."""

from typing import Any

import asyncpg

from tools.schema.files import current_texts


async def test_the_files_of_the_schemas_are_what_migrations_make(
    connection: "asyncpg.Connection[Any]",
) -> None:
    for path, text in (await current_texts(connection)).items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is old: make schema"
