"""The pytest plugin behind ``make test``: files of tests run side by side in the workers of pytest-xdist (``-n 4``).

A worker takes file after file; those beyond the cores (two) use what they leave while servers start and are waited for:
three workers kept two cores seven tenths busy. All that starts whole installations is one worker's: two of them at once
would show how busy the machine is, not what the product does.
"""

from typing import Any, Final

import pytest

_FOLDERS: Final = ("tests/integration/whole_path/", "tests/integration/console/")
"""The files of each share services that take seconds to start, by a fixture of the package."""
_OLDER: Final = "tests/e2e/test_release_before.py"
"""The older release's own tests, which start its services within their process: it is long, and no installation."""
_INSTALLATIONS: Final = tuple(f"tests/{folder}/" for folder in ("e2e", "chaos", "fuzz", "overload", "walk"))


def unit_of(nodeid: str) -> str:
    """What a test is given to a worker with: ``installations``, its folder where files share services, or its file."""
    file = nodeid.partition("::")[0]
    if file.startswith(_INSTALLATIONS) and file != _OLDER:
        return "installations"
    return next((folder for folder in _FOLDERS if file.startswith(folder)), file)


def rank_of(nodeid: str) -> int:
    """When a test is given out, 0 first: what takes longest, so that no worker is alone with it in the end."""
    return ("installations", _OLDER, *_FOLDERS, unit_of(nodeid)).index(unit_of(nodeid))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the longest units first, where workers share the tests."""
    if is_worker(config):
        items.sort(key=lambda item: rank_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands tests to workers by `unit_of`."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # noqa: PLC0415

    class ByUnit(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    config.option.loadscopereorder = False
    return ByUnit(config, log)


def is_worker(config: pytest.Config) -> bool:
    """Whether this is a worker's process, and another one prints and writes what the run came to."""
    return hasattr(config, "workerinput")
