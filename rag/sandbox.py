"""Parses a document in a child process that can be killed, so that no file can hurt the librarian.

The child gets bytes on its standard input and gives JSON on its standard output. It limits itself
before it reads a byte, opens nothing, and sees none of our environment.
"""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rag.errors import SourceUnreadable
from rag.load import Loaded

# Escaped JSON of the most characters that a document may have.
_OUTPUT_BYTES_MAX = 64 * 1024 * 1024
_ROOT = Path(__file__).resolve().parents[1]  # where `-m rag.load.child` finds the package


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserLimits:
    """Of one document's parsing."""

    cpu_s: int = 20
    wall_s: float = 30.0
    memory_bytes: int = 1024 * 1024 * 1024


async def load_in_child(name: str, content: bytes, limits: ParserLimits) -> Loaded:
    """What `rag.load.load` gives, or SourceUnreadable, whatever the document does to its parser."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "rag.load.child", name, str(limits.cpu_s), str(limits.memory_bytes)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=_ROOT,
        env={"PYTHONUTF8": "1"},
    )
    try:
        async with asyncio.timeout(limits.wall_s):
            output = await _talk(process.stdin, process.stdout, content)
    except TimeoutError:
        raise SourceUnreadable(
            f"Reading it took longer than {limits.wall_s:g} s. Simplify or split the document.",
            f"读取用时超过 {limits.wall_s:g} 秒。请简化或拆分文档。",
        ) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return _loaded(output)


async def _talk(
    stdin: asyncio.StreamWriter | None, stdout: asyncio.StreamReader | None, content: bytes
) -> bytes:
    if stdin is None or stdout is None:
        return b""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died while reading
        stdin.write(content)
        await stdin.drain()
    stdin.close()
    output = bytearray()
    while (piece := await stdout.read(1 << 16)) and len(output) <= _OUTPUT_BYTES_MAX:
        output += piece
    return bytes(output)


def _loaded(output: bytes) -> Loaded:
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        answer = {"exhausted": True}
    if "exhausted" in answer:
        raise SourceUnreadable(
            "Its parser was stopped: the document needs too much memory or time, or is broken."
            " Simplify or split the document.",
            "读取已中止：文档需要过多的内存或时间，或者已损坏。请简化或拆分文档。",
        )
    if "reason" in answer:
        raise SourceUnreadable(answer["reason"]["en"], answer["reason"]["zh"])
    return msgspec.convert(answer, Loaded)
