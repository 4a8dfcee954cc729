"""The commands that pages document: what each must say where it is run, what is needed before it, and why some are not
run. Keys are the beginnings of commands as they stand on the page; the longest that fits counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

SAID: Final[Mapping[str, str]] = {
    # README: the first message
    "export PATH=": "^$",
    "omnijourney quickstart": "Hello Ann, welcome!",
    "omnijourney emulator log": "Hello Ann, welcome!",
    "TOKEN=$(cat .omnijourney/token)": "^$",
    "call() {": "^$",
    "id() {": "^$",
    "TEAM=$(call 7404": "^$",
    "ACCOUNT=$(call 7403": "^$",
    "MODULE=$(call 7403": "^$",
    "CUSTOMER=$(call 7404": "^$",
    "JOURNEY=$(call 7401": "^$",
    "call 7401 journey.v1.JourneyService/PublishJourney": '"status": "JOURNEY_STATUS_ACTIVE"',
    "call 7401 journey.v1.JourneyService/TriggerJourneys": '"accepted": true',
    # README: run it, who may call
    "grpcurl -plaintext 127.0.0.1:7401 list": r"^omnijourney\.journey\.v1\.JourneyService$",
    "grpcurl -plaintext 127.0.0.1:7402 describe": "service PointsService {",
    'grpcurl -plaintext -H "authorization: Bearer $TOKEN" 127.0.0.1:7401': '"leaseExpireTime"',
    'grpcurl -plaintext -H "authorization: Bearer $TOKEN" 127.0.0.1:7403': '"progress"',
    'grpcurl -plaintext -H "authorization: Bearer $TOKEN" 127.0.0.1:7405': '"countedRows"',
    "TEAM=…": "^$",
    "SHOP=$(omnijourney token create": "its token, shown this once",
    'grpcurl -plaintext -H "authorization: Bearer $SHOP"': '"memberId": "M-1"',
    "omnijourney token list": "my shop",
    "omnijourney token rotate": "^oj_",
    "omnijourney token revoke": "revoked: my shop",
    "omnijourney audit export": "CreateCustomer",
    "omnijourney doctor": "✓ migrations: all",
    "omnijourney backup create": "PostgreSQL 1[0-9].*restores",
    "omnijourney --help": "Exit codes: 0 done",
    "omnijourney seed-customers": "100 made",
    "omnijourney message test": "^SENT LINE",
    # README: from the command line
    "omnijourney team list": "Second shop",
    "omnijourney customer show M-1": "M-1  Ann",
    "omnijourney audience customers": "M-2  Dee",
    "omnijourney points history": r"\+50 +50",
    "omnijourney stats overview": "^triggered +0$",
    "omnijourney stats order": "^reason +NO_CLICK$",
    "omnijourney stats series": "^start_time,journey_id,triggered_count",
    "omnijourney mailbox parked": "^$",
    "omnijourney webhook dead": "^$",
    # README: contacts from a file, what is held, customers who are one
    "omnijourney import people.csv --team $TEAM --preview": "Level: passed over",
    "omnijourney import people.csv --team $TEAM --map": "2 applied",
    "omnijourney import contacts.csv": "1 applied, 0 unchanged, 1 failed",
    "omnijourney import failed.csv": "1 applied",
    "omnijourney customer export": '^{.*"M-2"',
    "omnijourney customer erase": "  erased$",
    "omnijourney customer conflicts --team $TEAM": "^[0-9a-f-]{36}  .*phone",
    "omnijourney customer conflicts --team $TEAM --two-people": "are two people$",
    "omnijourney customer merge": "^[0-9a-f-]{36} is [0-9a-f-]{36}$",
    # README: journeys as texts
    "omnijourney journey get": "^name: Welcome$",
    "omnijourney journey validate": "could be published",
    "omnijourney journey diff": "no difference",
    "omnijourney journey apply": "nothing to change",
    "omnijourney journey publish": "ACTIVE +r1 +Welcome",
    "omnijourney journey explain Welcome": "ENROLLED .* the customer entered",
    "omnijourney journey waits": "^pause  DELAY  1  ",
    "omnijourney journey end": "HALTED at pause$",
    "omnijourney journey simulate": "ask",
    "omnijourney journey trigger Sale --audience": "SUCCEEDED  2 triggered of 2",
    "omnijourney journey trigger Sale --customer": "^[0-9a-f-]{36}  [0-9a-f-]{36}$",
    "omnijourney journey triggered": "PAUSED     [01] triggered of 2",
    "omnijourney journey schema": '"\\$schema"',
    # docs
    "omnijourney status": "^stats +.* serving ",
    "omnijourney mailbox show": "^0 in the mailbox$",
    "omnijourney journey list": "ACTIVE +r1 +Welcome",
    "omnijourney points check": " 0 findings$",
    "omnijourney stats check": " 0 differ$",
    "omnijourney journey stop": "STOPP(ING|ED) +r1 +Welcome",
    "omnijourney stats rebuild": "rows counted anew",
    "omnijourney backup list": "^[0-9a-f]+/[0-9TZ]+",
    "omnijourney backup verify": "is whole$",
    "call 740": "^{",
    "grep ": "^$",
    "export OMNIJOURNEY_BACKUP_DIR": "^$",
    "omnijourney journey --help": "simulate",
}
"""What a command that is run says, as a regular expression. Exit code 0, but for those below."""
EXIT_CODES: Final[Mapping[str, int]] = {"omnijourney import contacts.csv": 3, "grep ": 1}
"""3: a line failed, which is what the report is for. 1: there is nothing to be found."""
AFTER: Final[Mapping[str, str]] = {
    "omnijourney audit export": "cat audit.jsonl",
    "omnijourney stats series": "head -1 hours.csv",
    "omnijourney customer export": "cat person.jsonl",
    "omnijourney journey get": "cat welcome.yaml",
    "omnijourney journey schema": "head -3 journey.schema.json",
}
"""What shows that a file was written."""
BEFORE: Final[Mapping[str, str]] = {
    "omnijourney team list": ". ./furnish.sh",
    "omnijourney stats order": "until omnijourney stats order web 1001 --team $TEAM; do sleep 0.1; done",
    "omnijourney import people.csv --team $TEAM --map": "omnijourney attribute create tier text --team $TEAM",
    "omnijourney import failed.csv": "sed -i 's/no number/+886987654322/' failed.csv",
    "omnijourney customer export": "ANN=$CUSTOMER CUSTOMER=$OTHER",
    "omnijourney customer conflicts --team $TEAM --two-people": (
        "ID=$(omnijourney customer conflicts --team $TEAM | cut -d' ' -f1) CUSTOMER=$ANN C=$ANN"
    ),
    "omnijourney journey explain Welcome": "omnijourney journey trigger Welcome --customer $CUSTOMER --team $TEAM",
    "omnijourney journey triggered": (
        "ID=$(omnijourney journey trigger Sale --audience VIP --rate 1 --detach --json --team $TEAM"
        """ | sed 's/.*"operation_id": *"\\([^"]*\\)".*/\\1/')"""
    ),
    "omnijourney stats check": """call 7405 common.v1.InstallationService/GetLag '{"wait": "30s"}'""",
    "omnijourney backup create": "unset OMNIJOURNEY_BACKUP_DIR; export OMNIJOURNEY_BACKUP_DIR=$BACKUPS",
}
INSTEAD: Final[Mapping[str, str]] = {
    "TEAM=…": "TEAM=$(omnijourney team create 'My shop' --module journeys)",
    "CLIENT_ID": "$(omnijourney token list --team $TEAM | cut -d' ' -f1 | head -1)",
    "erase $CUSTOMER": "erase $CUSTOMER --yes",
    "seed-customers 10000 ": "seed-customers 100 ",
    "OMNIJOURNEY_BACKUP_DIR=/backups": "OMNIJOURNEY_BACKUP_DIR=$BACKUPS",
    "1f0c2a9e/20261130T150102Z": "$(omnijourney backup list | head -1 | cut -d' ' -f1)",
}
"""What stands for something of the reader's own, asks them, or is larger than a test needs."""
NOT_RUN: Final[Mapping[str, str]] = {
    "make ": "tries much or takes long; asked of make itself",
    "docker ": "there is no Docker where tests run; the file is read by test_deployments.py",
    "helm ": "there is no cluster where tests run; the chart is rendered with these values",
    "kubectl ": "there is no cluster where tests run; tried without one where kubectl is at hand",
    "systemctl ": "units are not started where tests run; verified by systemd-analyze in test_deployments.py",
    "python3 -m venv /opt": "makes an environment outside of the clone, as root",
    "/opt/omnijourney/bin/pip": "installs into that environment",
    "install -": "writes where only root may",
    "python -m services": "serves until it is stopped: test_up.py, test_one_process.py",
    "python -m libs.probe": "names no address of its own: test_started_as_described.py",
    "omnijourney up": "serves until it is stopped: all of tests/e2e",
    "omnijourney console": "serves until it is stopped: test_started_as_described.py",
    "omnijourney migrate": "names a database of the reader's own: test_started_as_described.py",
    "omnijourney backup restore": "restores as this and to a moment: test_backup.py",
    "omnijourney backup create --keep 3": "as with --keep 7 of docs/backup.md",
    "omnijourney backup": "names the group",
    "omnijourney mailbox retry": "nobody is parked here: tests/integration/journey/test_parked.py",
    "omnijourney tag list|": "names several commands: tests/integration/segment",
    "omnijourney attribute list|": "names several commands: tests/integration/segment/test_attribute_command.py",
    "omnijourney seed-customers 100000": "an hour's work for figures of docs/capacity.md",
    "omnijourney journey explain": "names the command",
    "omnijourney token create": "names the command",
    "omnijourney --install-completion": "writes into the reader's home",
    "export OMNIJOURNEY_": "names hosts and files of the reader's own; the variables are known",
    "redis-cli ": "empties the reader's own Redis",
    "grpcurl -cacert": "shows an option",
    "grpcurl -plaintext …": "shows an option",
}
"""Why a command is not run."""


def key_of(text: str, keys: Iterable[str]) -> str | None:
    """The longest of the keys with which the text begins; None: it begins with none."""
    return max((key for key in keys if text.startswith(key)), key=len, default=None)
