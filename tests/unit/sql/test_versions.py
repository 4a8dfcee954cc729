"""A function whose text changes after a release has another version."""

import pytest

from tools.schema.files import SERVICES
from tools.schema.functions import functions_of, read_baseline


@pytest.mark.parametrize("service", SERVICES)
def test_a_text_that_changed_since_the_release_before_has_a_higher_version(service: str) -> None:
    before = read_baseline().functions
    for function in functions_of(service):
        released = before.get(f"{service}.{function.name}")
        if released and function.sha256 != released.sha256:
            assert function.version == released.version + 1, (
                f'{function.name} has changed: its first line must be "-- version: {released.version + 1}"'
            )
        elif released:
            assert function.version == released.version
