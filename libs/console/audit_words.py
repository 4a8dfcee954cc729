"""What was called, as the audit log says it: the name of an RPC as a verb and a thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from libs.console.languages import noted

VERBS: Final = {
    "Add": noted("Add: %(thing)s"),
    "Adjust": noted("Adjust: %(thing)s"),
    "Apply": noted("Apply: %(thing)s"),
    "Archive": noted("Archive: %(thing)s"),
    "Batch": noted("Batch: %(thing)s"),
    "Bind": noted("Bind: %(thing)s"),
    "Cancel": noted("Cancel: %(thing)s"),
    "Change": noted("Change: %(thing)s"),
    "Check": noted("Check: %(thing)s"),
    "Claim": noted("Claim: %(thing)s"),
    "Close": noted("Close: %(thing)s"),
    "Copy": noted("Copy: %(thing)s"),
    "Create": noted("Create: %(thing)s"),
    "Delete": noted("Delete: %(thing)s"),
    "Drop": noted("Drop: %(thing)s"),
    "End": noted("End: %(thing)s"),
    "Execute": noted("Execute: %(thing)s"),
    "Import": noted("Import: %(thing)s"),
    "Merge": noted("Merge: %(thing)s"),
    "Pause": noted("Pause: %(thing)s"),
    "Ping": noted("Ping: %(thing)s"),
    "Publish": noted("Publish: %(thing)s"),
    "Record": noted("Record: %(thing)s"),
    "Refresh": noted("Refresh: %(thing)s"),
    "Rename": noted("Rename: %(thing)s"),
    "Replay": noted("Replay: %(thing)s"),
    "Resolve": noted("Resolve: %(thing)s"),
    "Restore": noted("Restore: %(thing)s"),
    "Resume": noted("Resume: %(thing)s"),
    "Retry": noted("Retry: %(thing)s"),
    "Revoke": noted("Revoke: %(thing)s"),
    "Rotate": noted("Rotate: %(thing)s"),
    "Send": noted("Send: %(thing)s"),
    "Set": noted("Set: %(thing)s"),
    "Start": noted("Start: %(thing)s"),
    "Stop": noted("Stop: %(thing)s"),
    "Sync": noted("Sync: %(thing)s"),
    "Trigger": noted("Trigger: %(thing)s"),
    "Unbind": noted("Unbind: %(thing)s"),
    "Undo": noted("Undo: %(thing)s"),
    "Update": noted("Update: %(thing)s"),
    "Upload": noted("Upload: %(thing)s"),
    "Upsert": noted("Upsert: %(thing)s"),
    "Use": noted("Use: %(thing)s"),
}
"""By the first word of the name."""
THINGS: Final = frozenset(
    {
        noted("journey"),
        noted("journeys"),
        noted("trigger"),
        noted("revision"),
        noted("enrolment"),
        noted("simulation"),
        noted("audience"),
        noted("saved audience"),
        noted("customer"),
        noted("customers"),
        noted("create customers"),
        noted("bind identities"),
        noted("set plan quotas"),
        noted("customer tags"),
        noted("customer attributes"),
        noted("customer change"),
        noted("consent"),
        noted("identity"),
        noted("identity conflict"),
        noted("erasure"),
        noted("events"),
        noted("attribute"),
        noted("attributes"),
        noted("tag"),
        noted("contact import"),
        noted("contact import part"),
        noted("import"),
        noted("import rows"),
        noted("import file"),
        noted("earning formula"),
        noted("coupon"),
        noted("coupon claim"),
        noted("bot module"),
        noted("message template"),
        noted("message templates"),
        noted("test message"),
        noted("channel account"),
        noted("plan quota"),
        noted("message price"),
        noted("wallet balance"),
        noted("balance alert"),
        noted("frequency cap"),
        noted("shop"),
        noted("shop key"),
        noted("pixel key"),
        noted("webhook subscription"),
        noted("webhook secret"),
        noted("dead letters"),
        noted("team"),
        noted("retention"),
        noted("api client"),
        noted("api client token"),
        noted("operation"),
    }
)
"""The other words."""
_WORD: Final = re.compile(r"[A-Z][a-z0-9]*")


def called_in_words(say: Callable[..., str], method: str) -> str:
    """Of `package.Service/CreateBotModule`; the name alone where its words are not known."""
    name = method.rpartition("/")[2]
    verb, *others = _WORD.findall(name) or [name]
    thing = " ".join(others).lower()
    if verb not in VERBS or thing not in THINGS:
        return name
    return say(VERBS[verb], thing=say(thing))


def thing_in_words(say: Callable[..., str], name: str) -> str:
    """Of `BotModule`; the name alone where it is not known."""
    thing = " ".join(_WORD.findall(name)).lower()
    return say(thing) if thing in THINGS else name
