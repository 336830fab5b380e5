"""`tandem kb` with every format, versions, audiences and pages, as real processes."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rag import bombs, papers
from tests.rag.papers import CHINESE, ENGLISH
from tests.rag.websites import Site
from tests.running import environ, tandem

pytestmark = pytest.mark.process


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return environ(tmp_path / "data", LANG="C.UTF-8", LC_ALL="")


@contextmanager
def site() -> Iterator[Site]:
    """A web server in a thread of its own, since a command is waited for."""
    made, loop, ready = Site(), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_a_folder_of_all_formats_goes_in_and_is_reported_on(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """Each file with its report; what cannot be read says why, and the others go in."""
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "manual.docx").write_bytes(papers.as_docx(ENGLISH))
    (folder / "faq.xlsx").write_bytes(papers.as_questions_book(ENGLISH))
    (folder / "faq.csv").write_bytes(papers.as_questions_csv(CHINESE))
    (folder / "lamp.pdf").write_bytes(bombs.text_page(b"A lamp goes back within 30 days."))
    (folder / "scan.pdf").write_bytes(bombs.scan(2))
    added = tandem(variables, "kb", "add", str(folder))
    shown = tandem(variables, "kb", "show", "papers/faq.xlsx")
    asked = tandem(variables, "ask", "--json", ENGLISH.other_wording)

    assert added.returncode == 1
    assert added.stdout.startswith("4 added, 0 unchanged, 1 failed")
    assert "scan.pdf: It is a scan" in added.stderr
    assert "faq.csv: It is not UTF-8; it was read as GB18030" in added.stderr
    for part in ("1 other wordings", "answers some 3 questions", "language en", "= Send the"):
        assert part in shown.stdout
    assert json.loads(asked.stdout.splitlines()[-1])["action"] in ("answer", "suggest")


def test_reasons_are_told_in_the_language_of_the_terminal(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """A Chinese terminal gets Chinese words, for a refusal at once and for one later."""
    (tmp_path / "scan.pdf").write_bytes(bombs.scan())
    (tmp_path / "empty.md").write_bytes(b"")
    chinese = variables | {"LANG": "zh_CN.UTF-8", "PYTHONUTF8": "1"}
    later = tandem(chinese, "kb", "add", str(tmp_path / "scan.pdf"))
    at_once = tandem(chinese, "kb", "add", str(tmp_path / "empty.md"))
    shown = tandem(chinese, "kb", "show", "scan.pdf")

    assert "这是扫描件" in later.stderr
    assert "文件是空的" in at_once.stderr
    assert "这是扫描件" in shown.stdout


def test_a_version_comes_back_and_a_document_becomes_internal(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """By the name alone; a version that is not there, and a name that is none, are refused."""
    file = tmp_path / "prices.md"
    for text in ("# Prices\n\nA lamp costs 10 EUR.\n", "# Prices\n\nA lamp costs 99 EUR.\n"):
        file.write_text(text)
        tandem(variables, "kb", "add", str(file))
    back = tandem(variables, "kb", "rollback", "prices.md")
    again = tandem(variables, "kb", "rollback", "prices.md", "nothing")
    hidden = tandem(variables, "kb", "audience", "prices.md", "staff")
    odd = tandem(variables, "kb", "audience", "prices.md", "Everybody!")
    listed = json.loads(tandem(variables, "kb", "list", "--json").stdout)
    shown = tandem(variables, "kb", "show", "prices.md")
    asked = json.loads(
        tandem(variables, "ask", "--json", "What costs a lamp?").stdout.splitlines()[-1]
    )

    assert back.returncode == 0, back.stderr
    assert "prices.md is answered from the version of" in back.stdout
    assert "A lamp costs 10 EUR." in shown.stdout
    assert "(can be live again)" in shown.stdout
    assert (again.returncode, odd.returncode) == (1, 1)
    assert "no such version" in again.stderr
    assert "no name of an audience" in odd.stderr
    assert hidden.stdout.strip() == "prices.md is for staff"
    assert [one["audience"] for one in listed] == ["staff"]
    assert (asked["action"], asked["citations"]) == ("decline", [])


def test_pages_are_added_by_their_addresses(variables: dict[str, str]) -> None:
    """One page, or all that a sitemap names; what leads into our own network is refused unless
    the settings name its host."""
    with site() as shop:
        here = shop.url("", host="127.0.0.1")
        shop.put("/lamp", papers.as_html(ENGLISH))
        shop.put("/lampe", papers.as_html(CHINESE))
        pages = "".join(f"<url><loc>{here}{path}</loc></url>" for path in ("/lamp", "/lampe"))
        shop.put("/sitemap.xml", f"<urlset>{pages}</urlset>".encode(), "text/xml")
        refused = tandem(variables, "kb", "add", f"{here}/lamp")
        open_to = variables | {"TANDEM_RAG__WEB__INTERNAL_HOSTS": f'["127.0.0.1:{shop.port}"]'}
        added = tandem(open_to, "kb", "add", f"{here}/sitemap.xml", "--audience", "customers")
        again = tandem(open_to, "kb", "add", f"{here}/lamp")
        listed = json.loads(tandem(open_to, "kb", "list", "--json").stdout)

    assert refused.returncode == 1
    assert "is not one of the web's" in refused.stderr
    assert added.stdout.startswith("2 added, 0 unchanged, 0 failed"), added.stderr
    assert again.stdout.startswith("0 added, 1 unchanged, 0 failed"), again.stderr
    assert {(one["name"], one["url"], one["audience"]) for one in listed} == {
        (f"{here}/lamp", f"{here}/lamp", "customers"),
        (f"{here}/lampe", f"{here}/lampe", "customers"),
    }
