"""What a definition names in other services."""

from __future__ import annotations

from uuid import UUID

from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import audience_pb2
from services.journey.convert.references import named_by
from services.journey.domain import model as d
from services.journey.domain.references import THING_BYTES_MAX, Reference, ReferenceKind
from tests.unit.journey.builders import ACCOUNT, MODULE, message

TEMPLATE = UUID(int=9)
OTHER_ACCOUNT = UUID(int=10)


def _audience(*items: audience_pb2.Audience) -> bytes:
    return audience_pb2.Audience(all_of=audience_pb2.AudienceList(items=items)).SerializeToString()


def _has(key: str) -> audience_pb2.Audience:
    return audience_pb2.Audience(
        attribute=audience_pb2.AttributePredicate(key=key, is_set=audience_pb2.IsSet())
    )


def test_everything_that_a_definition_names_is_found_with_its_paths() -> None:
    parameters = ("{{customer.name}}", "{{ attribute.city | there}} {{attribute.size}}")
    template = d.Message(d.Channel.WHATSAPP, None, d.Template(TEMPLATE, parameters))
    negation = audience_pb2.Audience(negation=_has("city"))
    tags = audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=["VIP"])
    bound = audience_pb2.BindingPredicate(
        operator=audience_pb2.BINDING_OPERATOR_BOUND,
        channel=channel_pb2.CHANNEL_LINE,
        account_id=str(OTHER_ACCOUNT),
    )
    audience = _audience(
        negation, audience_pb2.Audience(tags=tags), audience_pb2.Audience(binding=bound), _has("level")
    )
    definition = d.Definition(
        "all",
        d.AttributeTrigger(("city", "born")),
        (
            message("a", "b"),
            d.Node("b", template, "c"),
            d.Node("c", d.Condition(audience, "e", None)),
            d.Node("e", d.Tags(("vip",), ("Ｎew",)), "f"),
            d.Node("f", d.Attribute("level", "gold"), "g"),
            message("g"),
        ),
        (d.Target(d.Channel.LINE, ACCOUNT), d.Target(d.Channel.WHATSAPP, None)),
    )
    kind = ReferenceKind
    condition = "nodes[2].condition.audience"
    found = {(each.kind, each.thing): each.fields for each in named_by(definition)}
    assert found == {
        (kind.ATTRIBUTE, "city"): (
            "trigger.attribute_changed.keys[0]",
            "nodes[1].message.template.parameters[1]",
            f"{condition}.all_of.items[0].negation.attribute.key",
        ),
        (kind.ATTRIBUTE, "born"): ("trigger.attribute_changed.keys[1]",),
        (kind.ATTRIBUTE, "size"): ("nodes[1].message.template.parameters[1]",),
        (kind.ATTRIBUTE, "level"): (
            f"{condition}.all_of.items[3].attribute.key",
            "nodes[4].attribute.key",
        ),
        (kind.ACCOUNT, str(ACCOUNT)): ("targets[0].account_id",),
        (kind.BOT_MODULE, str(MODULE)): (
            "nodes[0].message.bot_module_id",
            "nodes[5].message.bot_module_id",
        ),
        (kind.TEMPLATE, str(TEMPLATE)): ("nodes[1].message.template.template_id",),
        (kind.TAG, "vip"): (condition, "nodes[3].tags.add[0]"),
        (kind.TAG, "new"): ("nodes[3].tags.remove[0]",),
        (kind.BOUND_ACCOUNT, str(OTHER_ACCOUNT)): (condition,),
    }


def test_a_tag_trigger_names_its_tags_folded() -> None:
    definition = d.Definition("tags", d.TagTrigger(("VIP", "vip", "新")))
    paths = ("trigger.tag_applied.tags[0]", "trigger.tag_applied.tags[1]")
    assert named_by(definition) == (
        Reference(ReferenceKind.TAG, "vip", paths),
        Reference(ReferenceKind.TAG, "新", ("trigger.tag_applied.tags[2]",)),
    )


def test_a_draft_with_half_of_everything_names_what_can_exist() -> None:
    nodes = (
        d.Node("a", None),
        d.Node("b", d.Message(d.Channel.LINE)),
        d.Node("c", d.Condition(b"", None, None)),
        d.Node("e", d.Attribute("", "x")),
        d.Node("f", d.Tags(("a\0b", "x" * (THING_BYTES_MAX + 1), "kept"))),
    )
    assert [each.thing for each in named_by(d.Definition("draft", None, nodes))] == ["kept"]
