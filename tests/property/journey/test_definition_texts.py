"""Whatever a definition is, its text leads back to it, in both forms, and is what the schema describes."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from libs.common.rpc.comments import comments
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert.definition_changes import changes
from services.journey.convert.definition_schema import schema_text
from services.journey.convert.definition_texts import Text, write
from services.journey.domain.names import NamedKind, NamedThing, Names
from tests.property.journey.definitions import IDS, TEXTS, definitions

YAML, JSON = pb.TEXT_FORMAT_YAML, pb.TEXT_FORMAT_JSON
SCHEMA = Draft202012Validator(json.loads(schema_text(comments())))
RUN = settings(deadline=None, suppress_health_check=list(HealthCheck))
THINGS = st.builds(
    NamedThing,
    st.sampled_from(NamedKind),
    st.sampled_from(IDS),
    st.sampled_from(["Shop", "Welcome", "hi/en", ""]) | TEXTS,
    st.sampled_from(["", "1", "2", *IDS[:3]]),
)
NAMES = st.lists(THINGS, max_size=8, unique_by=lambda thing: (thing.kind, thing.thing_id)).map(Names)


@RUN
@given(definitions(), NAMES)
def test_a_text_leads_back_to_its_definition(definition: journey_pb2.Definition, names: Names) -> None:
    for text_format in (YAML, JSON):
        text = write(definition, text_format, names)
        read = Text(text, text_format).message(names)
        assert read == definition
        assert write(read, text_format, names) == text


@RUN
@given(definitions(), NAMES)
def test_both_forms_say_the_same_to_every_reader_and_fit_the_schema(
    definition: journey_pb2.Definition, names: Names
) -> None:
    as_json: Any = json.loads(write(definition, JSON, names))
    assert yaml.safe_load(write(definition, YAML, names)) == as_json
    assert [fault.message for fault in SCHEMA.iter_errors(as_json)] == []


@RUN
@given(definitions(), definitions())
def test_two_definitions_differ_where_they_are_not_equal(
    before: journey_pb2.Definition, after: journey_pb2.Definition
) -> None:
    assert changes(before, before) == []
    assert bool(changes(before, after)) == (before != after)
