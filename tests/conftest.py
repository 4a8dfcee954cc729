"""Fixtures of every kind of test."""

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tools.paths import ROOT

pytest_plugins = ["libs.testing.fixtures"]

# Suites that several tests share say what differs, as tests themselves do.
pytest.register_assert_rewrite("libs.testing")

# Neither a deadline nor the slow-input check: both judge the machine, not the code.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `make check` tries the same few cases every time; `make test` looks for new ones.
settings.register_profile("quick", settings.get_profile("full"), derandomize=True, max_examples=25)
settings.load_profile("full")


def pytest_collection_finish() -> None:
    """What the imports and the collection made stays until the end: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    # What a test leaves is garbage within seconds. Looked for as often as is usual, it costs a twentieth of the time.
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _loggers_are_not_cached() -> None:
    """A command that a test runs in its own process configures logging for good: what logs first meanwhile would keep
    that, and write to where nobody reads any more."""
    configure = structlog.configure

    def without_cache(**options: Any) -> None:
        configure(**{**options, "cache_logger_on_first_use": False})

    structlog.configure = without_cache  # type: ignore[assignment]


@pytest.fixture(scope="session", autouse=True)
def _stacks_are_plain() -> None:
    """Where nothing has configured logging, structlog draws each stack with all variables: half a second for one."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, colors=False)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


@pytest.fixture(autouse=True)
def _logging_is_as_before(_stacks_are_plain: None) -> Iterator[None]:
    """A command that logs warnings alone would keep lines from the tests after it that look for them."""
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configured)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder with the specification and the sample files, skipped where it is not at hand.

    ``OMNIJOURNEY_TEST_DATA`` names it, absolute or relative to the repository.
    """
    folder = (ROOT / os.environ.get("OMNIJOURNEY_TEST_DATA", "../shared")).resolve()
    if not folder.is_dir():
        pytest.skip(f"OMNIJOURNEY_TEST_DATA: no folder {folder}")
    return folder
