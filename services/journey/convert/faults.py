"""Faults and warnings of definitions to the contract. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from libs.common.errors import FieldViolation
from libs.common.rpc.errors import reason_named
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.journey.v1 import validation_pb2
from services.journey.convert.journeys import CHINESE
from services.journey.domain.gate import Verdict

_IN_CHINESE: Final[Mapping[str, str]] = {
    "ACCOUNT_DISABLED": "渠道帳號已停用",
    "ACCOUNT_UNUSABLE": "渠道帳號無法使用",
    "ATTRIBUTE_UNAVAILABLE": "自訂屬性不存在、已封存或資料型態不符",
    "AUDIENCE_INVALID": "分眾條件不正確",
    "CHANNEL_UNSUPPORTED": "渠道不符或尚無法發送",
    "CONTENT_INVALID": "內容無法在此渠道發送",
    "COUPON_NOT_CLAIMABLE": "優惠券已封存",
    "MODULE_MISSING": "團隊未開通所需模組",
    "RESOURCE_NOT_FOUND": "找不到此項目",
    "TEMPLATE_NOT_APPROVED": "訊息範本未通過審核",
    "TEMPLATE_PARAMETERS": "訊息範本參數不正確",
}
"""What each kind of fault is called; what is wrong in particular follows in English."""
_FIELD_IN_CHINESE: Final = "欄位內容不正確"
_NOTE_IN_CHINESE: Final = "請留意"


def validation_message(
    verdict: Verdict, language: str, line_of: Callable[[str], int] = lambda _: 0
) -> pb.ValidateJourneyResponse:
    """All of it, in order; `line_of` says in which line of a text a field is."""

    def message(fault: FieldViolation, reason: str) -> validation_pb2.DefinitionFault:
        shown = _message(fault, reason, language)
        shown.line = line_of(fault.field)
        return shown

    return pb.ValidateJourneyResponse(
        faults=[message(fault, fault.reason or "INVALID_FIELDS") for fault in verdict.faults],
        warnings=[message(warning, warning.reason) for warning in verdict.warnings],
    )


def fault_messages(faults: Iterable[FieldViolation]) -> list[validation_pb2.DefinitionFault]:
    """Faults of a definition, in English."""
    return [_message(fault, fault.reason or "INVALID_FIELDS", "") for fault in faults]


def _message(fault: FieldViolation, reason: str, language: str) -> validation_pb2.DefinitionFault:
    text = fault.description
    if language == CHINESE:
        kind = _IN_CHINESE.get(reason, _FIELD_IN_CHINESE if reason else _NOTE_IN_CHINESE)
        text = f"{kind}：{text}"
    return validation_pb2.DefinitionFault(field=fault.field, reason=reason_named(reason), message=text)
