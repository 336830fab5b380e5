"""Files that mean harm, or are broken: refused in time, with a reason, and nothing else happens."""

import subprocess
import sys
from pathlib import Path

import pytest

from rag.errors import SourceUnreadable
from rag.load import package
from rag.load.pdf import PAGES_MAX
from rag.sandbox import ParserLimits, load_in_child
from tests.rag import bombs
from tests.rag.bombs import CORPUS

ROOT = Path(__file__).parents[2]


async def refusal(name: str, content: bytes, limits: ParserLimits | None = None) -> str:
    with pytest.raises(SourceUnreadable) as caught:
        await load_in_child(name, content, limits or ParserLimits())
    assert caught.value.reason.zh
    assert caught.value.reason.zh != caught.value.reason.en
    return caught.value.reason.en


@pytest.mark.parametrize("title", CORPUS)
async def test_each_hostile_file_is_refused_with_its_reason(title: str) -> None:
    """What it is, and what to do, in both languages; within the child's limits."""
    name, make, says = CORPUS[title]

    assert says in await refusal(name, make())


PARENT = """
import asyncio, resource, sys
from pathlib import Path
from rag.errors import SourceUnreadable
from rag.sandbox import ParserLimits, load_in_child

async def read(path):
    try:
        await load_in_child(path.name, path.read_bytes(), ParserLimits())
    except SourceUnreadable as error:
        return str(error)

def most_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

asyncio.run(read(Path(sys.argv[1]) / "0.pdf"))
before = most_kib()
for path in sorted(Path(sys.argv[1]).iterdir()):
    asyncio.run(read(path))
print(most_kib() - before)
"""


def test_the_parents_memory_stays_flat(tmp_path: Path) -> None:
    """However much comes out of a file, it comes out in the child: the parent grows by less than
    the largest file that it reads."""
    for number, title in enumerate(
        ("broken PDF", "300 MB stream", "zip bomb", "too much in all", "page references")
    ):
        name, make, _ = CORPUS[title]
        (tmp_path / f"{number}{Path(name).suffix}").write_bytes(make())
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    result = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=110
    )

    assert int(result.stdout) < 20 * 1024  # KiB


async def test_a_file_that_only_computes_is_ended_by_its_processor_time() -> None:
    """The limit is the kernel's, so no parser can talk its way around it."""
    assert "parser was stopped" in await refusal(
        "a.pdf", bombs.large_stream(), ParserLimits(cpu_s=1)
    )


async def test_as_many_parts_and_pages_as_allowed_are_read() -> None:
    """The limits refuse what is over them and nothing else."""
    parts = [(f"word/{n}.xml", b"<x/>") for n in range(package.ENTRIES_MAX - 2)]
    loaded = await load_in_child("a.docx", bombs.with_body(*parts), ParserLimits())
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources"
    page += b" << /Font << /F1 5 0 R >> >> >>"

    def book(pages: int) -> bytes:
        kids = b" ".join([b"3 0 R"] * pages)
        tree = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, pages)
        text = bombs.stream(b"BT /F1 12 Tf 72 400 Td (Some words stand here.) Tj ET")
        return bombs.pdf(bombs.CATALOG, tree, page, text, bombs.FONT)

    long = await load_in_child("a.pdf", book(PAGES_MAX), ParserLimits())

    assert loaded.markdown.strip() == "text"
    assert len(long.page_characters) == PAGES_MAX
    assert "2,001 pages" in await refusal("a.pdf", book(PAGES_MAX + 1))


async def test_scanned_and_empty_pages_are_named_beside_those_with_text() -> None:
    """What the bot cannot know is said, not skipped."""
    text = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
    mixed = bombs.pdf(
        bombs.CATALOG,
        b"<< /Type /Pages /Kids [6 0 R 7 0 R 8 0 R] /Count 3 >>",
        bombs.FONT,
        bombs.stream(b"BT /F1 12 Tf 72 400 Td (Lamps go back within 30 days.) Tj ET"),
        bombs.stream(
            b"\x80" * 64,
            b"/Type /XObject /Subtype /Image /Width 8 /Height 8 /BitsPerComponent 8"
            b" /ColorSpace /DeviceGray",
        ),
        text + b" /Resources << /Font << /F1 3 0 R >> >> >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 9 0 R"
        b" /Resources << /XObject << /I 5 0 R >> >> >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>",
        bombs.stream(b"q 612 0 0 792 0 0 cm /I Do Q"),
    )
    loaded = await load_in_child("a.pdf", mixed, ParserLimits())

    assert loaded.markdown.strip() == "Lamps go back within 30 days."
    assert loaded.page_characters == (29, 0, 0)
    assert loaded.scanned_pages == (2,)
    said = [warning.en for warning in loaded.warnings]
    assert said[0].startswith("Scanned pages without text: 2.")
    assert said[1] == "Empty pages: 3."


PROBE = """
import pathlib, socket, subprocess, sys
from rag.load import child
child._leave_network()
child._limit_self(5, 1 << 30)
sys.addaudithook(child._refuse)
tries = {
    "socket": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1),
    "name": lambda: socket.getaddrinfo("localhost", 80),
    "process": lambda: subprocess.run(["true"]),
    "write": lambda: pathlib.Path(sys.argv[2]).write_text("x" * 10),
}
for name, attempt in tries.items():
    try:
        attempt()
    except OSError as error:
        print(name, type(error).__name__)
    else:
        print(name, "done")
"""


def test_the_child_has_no_network_no_processes_and_writes_nothing(tmp_path: Path) -> None:
    """What a parser that was taken over from Python code could do is nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-c", PROBE, str(port), str(tmp_path / "x")]
        result = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60
        )

    said = dict(line.split() for line in result.stdout.splitlines())
    assert said["socket"] == said["name"] == said["process"] == "PermissionError"
    assert said["write"] == "OSError"
    assert (tmp_path / "x").stat().st_size == 0


async def test_a_slow_file_ends_at_the_wall_clock() -> None:
    """A child that sleeps uses no processor time; the parent ends it."""
    assert "longer than 0.3 s" in await refusal(
        "a.pdf", bombs.large_stream(), ParserLimits(wall_s=0.3)
    )
