"""Chooses who the embedded servers run as: PostgreSQL refuses to run as root."""

import os
import subprocess
from pathlib import Path

from libs.embedded.errors import DataDirUnusableError, EmbeddedError
from libs.embedded.process import Account, Spec, launcher_command

UNPRIVILEGED_ID = 65534  # nobody/nogroup wherever the names exist; the number needs no passwd entry
_PROBE_TIMEOUT_S = 20
# The whole environment of a server: nothing of ours (PGPORT, PGDATA, LD_PRELOAD …) may change what it does.
SERVER_ENV = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def choose_account(program: Path, data: Path) -> Account:
    """The account for `program` (a server that can tell its `--version`), which keeps its files in `data`.

    A normal user runs it as themselves. Root runs it as the owner of `data` if that is somebody else, else
    as uid 65534 if program and directory can be reached by it, else as itself in a user namespace. Gives
    `data` (made if missing, mode 0700) to the account that it chose.

    Errors: DataDirUnusableError when `data` belongs to another user; EmbeddedError when root can run it in
    neither way.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = data.stat()
    if os.geteuid() != 0:
        if owner.st_uid != os.geteuid():
            raise DataDirUnusableError(
                f"{data} belongs to uid {owner.st_uid}, not to you (uid {os.geteuid()}): run as its owner, "
                "or set OMNIJOURNEY_DATA_DIR to a directory of your own"
            )
        return Account.same()
    return _account_for_root(program, data, owner)


def _account_for_root(program: Path, data: Path, owner: os.stat_result) -> Account:
    is_new = not any(data.iterdir())
    dropped = Account.dropped(UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    if owner.st_uid != 0:
        dropped = Account.dropped(owner.st_uid, owner.st_gid)
    candidates = (
        [dropped, Account.namespaced()] if is_new else [dropped if owner.st_uid else Account.namespaced()]
    )
    refusals = []
    for account in candidates:
        os.chown(data, account.uid, account.gid)
        refusal = _refusal(program, data, account)
        if refusal is None:
            return account
        refusals.append(f"{_describe(account)}: {refusal}")
    os.chown(data, owner.st_uid, owner.st_gid)
    raise EmbeddedError(
        f"{program.name} does not run as root, and no other way works here ({'; '.join(refusals)}). Run this "
        f"as a normal user, or keep the Python environment ({program.parent}) and the data directory "
        f"({data}) where every user may read (not below /root), or set OMNIJOURNEY_POSTGRES_DSN and "
        "OMNIJOURNEY_REDIS_URL to servers of your own"
    )


def _describe(account: Account) -> str:
    return "in a user namespace" if "--userns" in account.launcher_options else f"as uid {account.uid}"


def can_run(program: Path, data: Path, account: Account) -> bool:
    """Whether `account` can start `program` with `data` as its working directory."""
    return _refusal(program, data, account) is None


def _refusal(program: Path, data: Path, account: Account) -> str | None:
    """Why `account` cannot run `program` in `data`; None when it can."""
    probe = Spec("probe", [str(program), "--version"], SERVER_ENV, cwd=data, account=account)
    try:
        done = subprocess.run(
            launcher_command(probe),
            env=SERVER_ENV,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
