"""The grammar of variables: what is filled in, and what would reach people as it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.text_variables import BALANCE, faults_in, fill, is_known, names_in

SOUND = [
    "Hi {{customer.name}}!",
    "{{ customer.name | friend }}",
    "{{customer.name|朋友}}，您有 {{points.balance|0}} 點",
    "{{attribute.tier}}/{{attribute.city|somewhere}}",
    "{{trigger.code}}/{{ trigger.item_2 | your order }}",
    "{{customer.name|Mr. O'Neil}} {{points.cumulative}}%",
    "20%off {{customer.name}} 30%off",
    "50%off% and 100%純棉 50%羊毛",
    "5 % off, 10 % more",
    "https://example.com/%E4%BD%A0%20abc%20?q=%C3%A9",
    '{ "a": 1 } (a) {^_^} [Sale] a * b | c $5 {',
    "｛限時｝",
]
FOREIGN = [
    "{name}",
    "{ name }",
    "{First Name}",
    "{姓名}",
    "{0}",
    "{}",
    "{customer.name}",
    "{name|friend}",
    "{user[0]}",
    "${name}",
    "${ customer.name }",
    "#{name}",
    "@{name}",
    "{!Contact.Name}",
    "%name%",
    "%FIRSTNAME%",
    "%%name%%",
    "%date%",
    "https://example.com/?n=%name%",
    "%(name)s",
    "*|FNAME|*",
    "<%= name %>",
    "{% if vip %}",
    "[[name]]",
    "｛｛customer.name｝｝",
]
UNKNOWN = [
    "{{customer.first_name}}",
    "{{Customer.Name}}",
    "{{name}}",
    "{{ name | upper }}",
    "{{points.level}}",
    "{{points.balance.x}}",
    "{{attribute.}}",
    "{{attribute.a b}}",
    "{{trigger.}}",
    "{{trigger.a-b}}",
    "{{trigger}}",
    "{{}}",
    "{{1}}",
    "{{#if vip}}",
]
FILTERED = [
    "{{ customer.name | upper }}",
    '{{customer.name|default: "friend"}}',
    "{{customer.name|default('friend')}}",
    "{{customer.name|a|b}}",
]
BROKEN = [
    "{{customer.name",
    "customer.name}}",
    "{{customer.name}",
    "{{{customer.name}}}",
    "{{customer.name}} {{",
    "{{ {{customer.name}} }}",
]


@pytest.mark.parametrize("text", SOUND)
def test_a_text_in_the_grammar_has_no_fault(text: str) -> None:
    assert faults_in(text) == []


@pytest.mark.parametrize("text", [*FOREIGN, *UNKNOWN, *FILTERED, *BROKEN])
def test_what_only_looks_like_a_variable_is_a_fault(text: str) -> None:
    assert faults_in(text)
    assert faults_in(f"Hello {text}, welcome")


def test_a_fault_says_what_it_found_and_what_there_is() -> None:
    (fault,) = faults_in("Hi {{customer.first_name}}, you have {{points.balance}}")
    assert fault.found == "{{customer.first_name}}"
    assert "customer.name" in fault.message


def test_a_text_may_hold_fewer_variables_than_there_are() -> None:
    assert faults_in("{{points.balance}} points", {BALANCE}) == []
    assert len(faults_in("{{customer.name}} has {{points.balance}}", {BALANCE})) == 1
    assert len(faults_in("{{points.balance}}", ())) == 1


def test_thousands_of_faults_are_not_all_told() -> None:
    assert len(faults_in("{name} " * 5_000)) == 5


@given(st.text(alphabet="{}|%$ab.1 customer.name\n"))
def test_what_has_no_fault_leaves_nothing_unfilled(text: str) -> None:
    values = {"customer.name": "Mei", "points.balance": "120", "points.cumulative": "300"}
    filled = fill(text, values.get)
    if not faults_in(text):
        assert "{{" not in filled
        assert all(is_known(name) for name in names_in(text))
