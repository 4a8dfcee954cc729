"""Starts a program that never outlives the process which asked for it.

    launch.py --parent PID --signal N [--chdir DIR] [--drop UID:GID | --userns] [--watch] -- PROGRAM ARG…

In this order: leave the terminal's process group (Ctrl-C then reaches the asker only), change the account,
change the directory, arm the death signal, make sure that the asker still lives, `exec`. The program
therefore keeps the process id that the asker got from its fork.

- The death signal (`prctl(PR_SET_PDEATHSIG)`) comes after the change of account because the kernel forgets it
  with every such change.
- It fires when the *thread* that forked ends, so the asker must fork from a thread that lives as long as it
  does: its main one.
- `--drop` becomes another user; `--userns` stays the same user for the files and becomes uid 1000 in a user
  namespace of its own, which is enough for programs that refuse to run as root.
- Without `prctl` (macOS), or with `--watch`, a small watcher stays between the two: it passes signals on,
  looks every 0.1 s whether the asker lives, and ends as the program ended. A watcher that is itself killed
  with SIGKILL leaves its program behind; nothing else does.

Uses the standard library only and is run by path (`python -I -S launch.py`), so that it starts in
milliseconds and needs no import path. Exit code 97 when the program could not be started; the reason is on
stderr.
"""

import argparse
import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

EXIT_NOT_STARTED = 97
WATCH_INTERVAL_S = 0.1
NAMESPACE_ID = 1000  # any id but 0 (root) and 65534 (what the kernel shows for unmapped ids)

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, action: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{action}: {os.strerror(code)}")


def drop_to(uid: int, gid: int) -> None:
    """Becomes another user for good, without any supplementary group."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def enter_user_namespace() -> None:
    """Becomes uid `NAMESPACE_ID` in a new user namespace; for files the account stays the same."""
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc().unshare(_CLONE_NEWUSER), "unshare(CLONE_NEWUSER)")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NAMESPACE_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NAMESPACE_ID} {gid} 1")


def die_with_parent(signum: int) -> None:
    """Asks the kernel to send `signum` to this process when the thread that forked it ends."""
    _check(_libc().prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def execute(program: Sequence[str]) -> None:
    """Replaces this process; undoes what the Python start-up did to signals, which `exec` would hand on."""
    for name in ("SIGPIPE", "SIGXFSZ", "SIGINT"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execv(program[0], list(program))  # noqa: S606 - the program is the whole point; no shell is wanted


def _complain(program: Sequence[str], error: OSError) -> None:
    sys.stderr.write(f"cannot start {program[0]}: {error}\n")
    sys.stderr.flush()


def watch(parent: int, signum: int, program: Sequence[str]) -> int:
    """Runs `program` as a child and stands in for the death signal. Returns its wait status."""
    child = os.fork()
    if child == 0:
        try:
            execute(program)
        except OSError as error:
            _complain(program, error)
        os._exit(EXIT_NOT_STARTED)
    for forwarded in _FORWARDED:
        signal.signal(forwarded, lambda received, _frame: os.kill(child, received))
    signalled = False
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if not signalled and os.getppid() != parent:
            os.kill(child, signum)
            signalled = True
        time.sleep(WATCH_INTERVAL_S)


def _end_as(status: int) -> None:
    """Ends this process the way the watched one ended."""
    if os.WIFSIGNALED(status):
        signum = os.WTERMSIG(status)
        if signum != signal.SIGKILL:
            signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
    os._exit(os.waitstatus_to_exitcode(status))


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launch", description="start a program that dies with its parent")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--chdir")
    account = parser.add_mutually_exclusive_group()
    account.add_argument("--drop", metavar="UID:GID")
    account.add_argument("--userns", action="store_true")
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("program", nargs="+")
    return parser.parse_args(argv)


def _prepare(arguments: argparse.Namespace) -> None:
    if os.getpgid(0) != os.getpid():
        os.setsid()
    if arguments.drop:
        uid, gid = arguments.drop.split(":")
        drop_to(int(uid), int(gid))
    elif arguments.userns:
        enter_user_namespace()
    if arguments.chdir:
        os.chdir(arguments.chdir)


def main(argv: Sequence[str]) -> None:
    """Never returns: it becomes the program or ends."""
    arguments = _arguments(argv)
    try:
        _prepare(arguments)
        if arguments.watch or not sys.platform.startswith("linux"):
            _end_as(watch(arguments.parent, arguments.signal, arguments.program))
        die_with_parent(arguments.signal)
        if os.getppid() != arguments.parent:
            sys.exit(EXIT_NOT_STARTED)
        execute(arguments.program)
    except OSError as error:
        _complain(arguments.program, error)
        sys.exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
