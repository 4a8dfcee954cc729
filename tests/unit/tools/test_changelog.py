"""The log of changes has one form, and names every migration: of a service, of `platform`, and `shared` by schemas."""

import re
from typing import Final

from tools.paths import ROOT

_KINDS: Final = ["Added", "Changed", "Fixed", "Migrations"]
# A migration, or a run of them: `points/0002` to `points/0006`.
_NAMED: Final = re.compile(r"`(\w+)/(\d{4})`(?: to `\1/(\d{4})`)?")


def _versions() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_each_version_has_the_same_headings_and_the_unreleased_one_is_on_top() -> None:
    versions = _versions()
    assert next(iter(versions)) == "Unreleased"
    for version, text in versions.items():
        assert re.findall(r"^### (.+)$", text, re.MULTILINE) == _KINDS, version


def test_every_migration_after_a_services_first_is_under_migrations() -> None:
    named: set[str] = set()
    for text in _versions().values():
        for service, first, last in _NAMED.findall(text.split("### Migrations")[1]):
            named |= {f"{service}/{number:04}" for number in range(int(first), int(last or first) + 1)}
    folders = {file.parent: file.parents[2].name for file in ROOT.glob("services/*/sql/migrations/*.sql")}
    common = ROOT / "libs" / "common" / "db"
    folders |= {common / f"{name}_migrations": name for name in ("platform", "shared")}
    found = {
        f"{name}/{file.name[:4]}"
        for folder, name in folders.items()
        for file in folder.glob("*.sql")
        if file.name[:4] != "0001"
    }
    assert named == found
