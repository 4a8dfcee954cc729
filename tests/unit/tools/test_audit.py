"""What the audit says of licences and of advisories, without asking anybody."""

import importlib.metadata

import pytest

from tools.audit import judged, refused, shipped


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache Software License; BSD License", True),
        ("Apache-2.0 AND MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("MIT AND GPL-3.0-only", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("AGPL-3.0-or-later", False),
        ("UNKNOWN", False),
    ],
)
def test_a_licence_is_allowed_by_name_alone(licence: str, allowed: bool) -> None:
    assert list(refused({"lib": licence})) == (
        [] if allowed else [f"lib: {licence} is not among the licences of tools/audit.py"]
    )


def test_what_is_shipped_is_what_is_installed() -> None:
    found = shipped()
    assert {"grpcio", "asyncpg", "protobuf"} <= found.keys()
    assert found["grpcio"] == importlib.metadata.version("grpcio")


def test_a_fault_is_named_with_the_version_that_mends_it() -> None:
    fault = {"id": "PYSEC-1", "fix_versions": ["2.1"]}
    known = {"name": "a", "version": "2.0", "vulns": [fault]}
    unknown = {"name": "b", "skip_reason": "not found"}
    assert judged({"dependencies": [known, unknown]}) == (
        ["a 2.0: PYSEC-1, mended in 2.1", "b: not found"],
        "",
    )


def test_where_nothing_is_known_nothing_was_looked_at() -> None:
    unknown = [{"name": name, "skip_reason": "not found"} for name in ("a", "b")]
    assert judged({"dependencies": unknown}) == (
        [],
        "the advisory service knows none of 2 packages: not found",
    )
