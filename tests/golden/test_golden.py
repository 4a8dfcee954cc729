"""What earlier releases have written is read by this one, and what follows from names still does.

A test here fails when a form has changed. For a stored one: let the reader take the old form as well (append the
field, with a default; give a new number to a new body), then `make golden` keeps the new form beside the old one.
Never edit or remove what is kept: it lies in somebody's tables. For a derived one there is no second form: undo the
change, or look for the old key too where the new one finds nothing, and say so in an ADR.
"""

from __future__ import annotations

import pytest

from tests.golden.examples import FORMS, same
from tests.golden.forms import FOLDER, Derived, Stored, kept, written

STORED = {name: form for name, form in FORMS.items() if isinstance(form, Stored)}
DERIVED = {name: form for name, form in FORMS.items() if isinstance(form, Derived)}


@pytest.mark.parametrize("name", STORED)
def test_whatever_any_release_has_written_is_read_as_what_it_was(name: str) -> None:
    form = STORED[name]
    for label, forms in kept(name).items():
        for data in forms:
            found = form.decode(data)
            assert same(found, form.values[label]), f"{label}: {found}"


@pytest.mark.parametrize("name", STORED)
def test_what_this_release_writes_is_kept(name: str) -> None:
    forms = kept(name)
    unkept = {label for label, data in written(STORED[name]).items() if data not in forms.get(label, [])}
    assert not unkept, "their form has changed: read the docstring of this file"


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_derived_never_changes(name: str) -> None:
    assert {label: [data] for label, data in written(DERIVED[name]).items()} == kept(name)


def test_every_file_belongs_to_a_form() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(FORMS)
