"""Lists of templates as the Graph API gives them: filters, fields, pages, sums."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any

from yarl import URL

from libs.emulators.meta_errors import MetaError
from libs.emulators.whatsapp_templates import Template

PAGE_SIZE = 25
"""Templates of a page where no `limit` is asked for."""
PAGE_MAX = 1_000
TEMPLATES_MAX = 6_000
"""Templates that a business account may have."""

_FIELDS = frozenset(
    {
        "id",
        "name",
        "language",
        "status",
        "category",
        "parameter_format",
        "components",
        "quality_score",
        "rejected_reason",
        "sub_category",
        "previous_category",
        "correct_category",
        "message_send_ttl_seconds",
        "cta_url_link_tracking_opted_out",
        "library_template_name",
        "last_updated_time",
        "is_primary_device_delivery_only",
        "creative_sourcing_spec",
        "degrees_of_freedom_spec",
        "bid_spec",
    }
)
"""Those that there are; of a template that has none of a field, the answer has none."""
_FILTERS = {"status": "status", "category": "category", "language": "language"}


def listed(templates: Iterable[Template], query: Mapping[str, str], url: URL) -> dict[str, Any]:
    """One page of a business account's templates. Raises MetaError 100 for what is no number, field or cursor."""
    own = list(templates)
    found = [each.to_json() for each in own if _is_asked_for(each, query)]
    size = _limit(query.get("limit", str(PAGE_SIZE)))
    start = _place(query["after"]) if query.get("after") else 0
    if query.get("before"):
        end = _place(query["before"])
        start = max(end - size, 0)
        size = end - start
    page = found[start : start + size]
    answer: dict[str, Any] = {"data": [_with_fields(each, query.get("fields", "")) for each in page]}
    if page:
        answer["paging"] = _paging(url, start, start + len(page), len(found))
    if query.get("summary"):
        answer["summary"] = _summary(query["summary"], own, found)
    return answer


def _is_asked_for(template: Template, query: Mapping[str, str]) -> bool:
    named = query.get("name_or_content", query.get("name", ""))
    said = query.get("content", "")
    within = template.name + (template.body if "name_or_content" in query else "")
    return (
        named in within
        and said in template.body
        and all(
            getattr(template, field) in _several(query[name])
            for name, field in _FILTERS.items()
            if name in query
        )
    )


def _several(text: str) -> list[str]:
    """Values of a filter: `A,B`, or a list in JSON."""
    return [str(each) for each in json.loads(text)] if text.startswith("[") else text.split(",")


def _with_fields(template: dict[str, Any], asked: str) -> dict[str, Any]:
    fields = {each.strip() for each in asked.split(",") if each.strip()}
    for field in fields - _FIELDS:
        raise MetaError(100, f"Tried accessing nonexisting field ({field})")
    if not fields:
        return template
    return {name: value for name, value in template.items() if name in fields or name == "id"}


def _paging(url: URL, start: int, end: int, total: int) -> dict[str, Any]:
    paging: dict[str, Any] = {"cursors": {"before": _cursor(start), "after": _cursor(end)}}
    plain = url.without_query_params("before", "after")
    if end < total:
        paging["next"] = str(plain.update_query(after=_cursor(end)))
    if start > 0:
        paging["previous"] = str(plain.update_query(before=_cursor(start)))
    return paging


def _summary(asked: str, own: list[Template], found: list[Any]) -> dict[str, Any]:
    sums: dict[str, Any] = {
        "total_count": len(found),
        "message_template_count": len(own),
        "message_template_limit": TEMPLATES_MAX,
        "are_translations_complete": True,
    }
    return {name: sums[name] for name in asked.split(",") if name in sums}


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= PAGE_MAX:
        raise MetaError(100, f"limit is a number from 1 to {PAGE_MAX}")
    return int(text)


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def _place(cursor: str) -> int:
    try:
        return max(int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))), 0)
    except (ValueError, binascii.Error) as error:
        raise MetaError(100, "Invalid cursor") from error
