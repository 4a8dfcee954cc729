"""The pytest plugin behind ``make test``: files of tests run side by side in the workers of pytest-xdist (``-n 3``).

A worker takes file after file; a third one uses what two cores leave while servers start and are waited for. All that
starts whole installations is one worker's: two of them at once would show how busy the machine is, not what the product
does.
"""

from typing import Any, Final

import pytest

_WHOLE_PATHS: Final = "tests/integration/whole_path/"
"""Its files share services that take seconds to start."""
_INSTALLATIONS: Final = tuple(f"tests/{folder}/" for folder in ("e2e", "chaos", "fuzz", "overload", "walk"))
"""What takes longest begins first."""


def unit_of(nodeid: str) -> str:
    """What a test is given to a worker with: ``installations``, its folder where files share services, or its file."""
    file = nodeid.partition("::")[0]
    if file.startswith(_WHOLE_PATHS):
        return _WHOLE_PATHS
    return "installations" if file.startswith(_INSTALLATIONS) else file


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts what starts installations first, where workers share the tests."""
    if is_worker(config):
        items.sort(key=lambda item: unit_of(item.nodeid) != "installations")


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
