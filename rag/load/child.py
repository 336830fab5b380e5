"""The parser as a process of its own: bytes on standard input, JSON on standard output.

It limits itself before it reads a byte: processor time, memory, no file it could write, no network
and no child. What the limits are and what they do not cover is told in docs/knowledge.md.
"""

import contextlib
import ctypes
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from rag.errors import SourceUnreadable
from rag.load import BYTES_MAX, load

# Of Python's audit events: what no reader of a document has any business with.
_FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "pty.")
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
_OPEN_FILES_MAX = 64


def main(name: str, cpu_s: int, memory_bytes: int) -> None:
    """The child's whole life."""
    _leave_network()
    _limit_self(cpu_s, memory_bytes)
    sys.addaudithook(_refuse)
    try:
        answer: dict[str, Any] = asdict(load(name, sys.stdin.buffer.read(BYTES_MAX + 1)))
    except SourceUnreadable as error:
        answer = {"reason": asdict(error.reason)}
    except MemoryError:
        answer = {"exhausted": True}
    sys.stdout.buffer.write(json.dumps(answer).encode())
    sys.stdout.buffer.flush()
    os._exit(0)  # nothing of a hostile document gets to run at the interpreter's end


def _refuse(event: str, _args: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a parser may not do this: {event}")


def _leave_network() -> None:
    """Into a network with no way out, where the kernel lets us without privileges."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            unshare(_CLONE_NEWNET)


def _limit_self(cpu_s: int, memory_bytes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no file
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES_MAX, _OPEN_FILES_MAX))
    os.nice(10)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
