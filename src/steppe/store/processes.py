"""Which process is this, on which machine, and does that other one still live?"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


@cache
def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


@cache
def boot() -> str:
    """Which start of this machine it is; empty where that cannot be known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@cache
def numbering() -> str:
    """Among whose process ids ours counts: containers of one machine have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def born(pid: int) -> str:
    """When a process of this machine started; empty when there is none.

    A process id is given again to other processes, and a process that ended but was not waited for
    still has its own.
    """
    try:
        # The command's name, in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *later = fields.rpartition(")")[2].split()
        return "" if state in "ZX" else later[18]
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _alive(pid)
    except OSError:
        return ""


def _alive(pid: int) -> str:
    """The same where there is no /proc: only whether it lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        return "alive"
    return "alive"
