"""The pages of the site: made of the contracts, gathered where they stand, and with links that lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tools.paths import ROOT
from tools.site.contracts import pages

CONTRACTS = pages()
LINK = re.compile(r"(?<!`)\]\(([^)#:\s]*)(#[^)\s]*)?\)")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("services/*/README.md"),
        *ROOT.glob("libs/*/README.md"),
    ]
)


def test_every_message_of_the_contracts_has_its_place() -> None:
    points = CONTRACTS["omnijourney.points.v1.md"]
    assert "## PointsService { #points.v1.PointsService }" in points
    assert "### SetEarningFormula { #points.v1.PointsService.SetEarningFormula }" in points
    assert "scope `SCOPE_ADMIN`" in points
    assert "INVALID_ARGUMENT" in points
    reasons = CONTRACTS["omnijourney.common.v1.md"]
    assert "| `ERROR_REASON_RESOURCE_NOT_FOUND` |" in reasons
    assert not [name for name in CONTRACTS if "internal" in name]


def test_links_between_the_contracts_lead_to_what_they_name() -> None:
    anchors = {
        name: set(re.findall(r"\{ #([\w.]+) \}$", text, re.MULTILINE)) for name, text in CONTRACTS.items()
    }
    for name, text in CONTRACTS.items():
        for page, anchor in re.findall(r"\]\(([\w.]+\.md)#([\w.]+)\)", text):
            assert anchor in anchors[page], f"{name}: {page}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in LINK.findall(text):
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), f"{target} is not there"
        if anchor and linked.suffix == ".md":
            assert anchor[1:] in _anchors(linked), f"{target}{anchor} is not there"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_site_or_below_one_that_is() -> None:
    listed = re.findall(r"[\w/.-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert [
        name for name in listed if not (ROOT / name).exists() and not name.startswith("docs/reference/")
    ] == []
    assert {
        name.removeprefix("docs/reference/") for name in listed if name.startswith("docs/reference/")
    } == CONTRACTS.keys()
    alone = {str(page.relative_to(ROOT)) for page in PAGES} - set(listed)
    linked = {
        str((ROOT / name).parent.joinpath(target).resolve().relative_to(ROOT))
        for name in listed
        if (ROOT / name).exists()
        for target, _ in LINK.findall((ROOT / name).read_text(encoding="utf-8"))
        if target
    }
    assert alone <= linked


def test_the_pictures_are_as_they_are_drawn() -> None:
    if importlib.util.find_spec("schemdraw") is None:
        pytest.skip("what draws the pictures is not installed: make docs")
    from tools.site.pictures import pictures  # noqa: PLC0415 - not everybody has it

    for name, content in pictures():
        assert (ROOT / "docs" / "pictures" / name).read_bytes() == content, f"{name}: make docs"
