"""The command line: alone, beside a running server, and when something is wrong."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.running import ROOT, SCRIPT, Running, environ, running, tandem, until

pytestmark = pytest.mark.process
HEAVY = {"torch", "chromadb", "sentence_transformers", "litestar", "sqlalchemy", "numpy"}


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return environ(tmp_path / "data")


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "deep").mkdir(parents=True)
    (folder / "returns.md").write_text("# Returns\n\n## How long?\n\nWithin 30 days of purchase.\n")
    (folder / "deep" / "hours.md").write_text("# Hours\n\n## When open?\n\nFrom 9 to 17 daily.\n")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """One server for all tests that only look at it; its bot is ready."""
    with running(environ(tmp_path_factory.mktemp("server") / "data")) as started:
        until(lambda: "The bot is ready" in started.output.read_text(), "the bot is ready")
        yield started


@pytest.fixture
def beside(server: Running) -> dict[str, str]:
    return environ(server.folders.data_dir)


def test_help_is_there_at_once() -> None:
    """`tandem --help` loads neither models nor databases nor the web framework."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{str(SCRIPT)!r}, '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: print(*sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert "Exit codes" in result.stdout
    assert not HEAVY & set(result.stdout.splitlines()[-1].split())


def test_the_gateway_process_loads_no_model() -> None:
    """Embedder and vector index live in the librarian: importing them stalls an event loop."""
    code = "import sys, commands.processes; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert not {"torch", "chromadb", "sentence_transformers"} & set(result.stdout.split())


def test_documents_are_taken_in_once_and_asked_without_a_server(
    variables: dict[str, str], documents: Path
) -> None:
    """Add, add again, change one, ask: only what is new is embedded, and the answer is quoted."""
    first = tandem(variables, "kb", "add", str(documents))
    again = tandem(variables, "kb", "add", str(documents))
    (documents / "returns.md").write_text("# Returns\n\n## How long?\n\nWithin 45 days.\n")
    changed = tandem(variables, "kb", "add", str(documents))
    asked = tandem(variables, "ask", "--json", "How long can I return it?")

    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("2 added, 0 unchanged, 0 failed")
    assert again.stdout.startswith("0 added, 2 unchanged, 0 failed")
    assert changed.stdout.startswith("1 added, 1 unchanged, 0 failed")
    answer = json.loads(asked.stdout.splitlines()[-1])
    assert set(answer) == {"text", "action", "p", "reasons", "citations", "language", "timings"}
    assert set(answer["citations"][0]) == {"n", "title", "source", "url", "quote"}
    assert "45 days" in answer["text"]


def test_an_answer_can_be_explained_and_asked_again(
    variables: dict[str, str], documents: Path
) -> None:
    """By its record's id: why it came out so, and what a changed document would change in it."""
    tandem(variables, "kb", "add", str(documents))
    asked = tandem(variables, "ask", "How long can I return it?")
    record = asked.stderr.partition("tandem explain ")[2].split()[0]
    told = tandem(variables, "explain", record)
    as_json = tandem(variables, "explain", record, "--json")
    (documents / "returns.md").write_text("# Returns\n\n## How long?\n\nWithin 45 days.\n")
    tandem(variables, "kb", "add", str(documents))
    again = tandem(variables, "explain", record, "--replay")
    unknown = tandem(variables, "explain", "0" * 32)

    assert told.returncode == 0, told.stderr
    assert "answers from" in told.stdout
    assert "Written by  quoted" in told.stdout
    assert "coverage_top" in told.stdout
    assert json.loads(as_json.stdout)["question"]["text"] == "How long can I return it?"
    assert "passage gone" in again.stdout
    assert "45 days" in again.stdout.partition("Today:")[2]
    assert (unknown.returncode, "no record" in unknown.stderr) == (1, True)


def test_a_document_can_be_listed_shown_checked_and_removed(
    variables: dict[str, str], documents: Path
) -> None:
    """The other words of `kb`; a folder's documents are named by it and their path."""
    tandem(variables, "kb", "add", str(documents))
    listed = tandem(variables, "kb", "list", "--json")
    shown = tandem(variables, "kb", "show", "documents/deep/hours.md")
    checked = tandem(variables, "kb", "check", "--rebuild", "--json")
    removed = tandem(variables, "kb", "remove", "documents/returns.md")
    left = tandem(variables, "kb", "list", "--json")

    assert {source["name"] for source in json.loads(listed.stdout)} == {
        "documents/returns.md",
        "documents/deep/hours.md",
    }
    assert "From 9 to 17 daily." in shown.stdout
    report = json.loads(checked.stdout)
    assert (checked.returncode, report["healthy"], report["embedded"]) == (0, True, 0)
    assert removed.returncode == 0, removed.stderr
    assert [source["name"] for source in json.loads(left.stdout)] == ["documents/deep/hours.md"]


def test_a_document_that_cannot_be_read_is_named_with_its_reason(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """The others are taken in; the exit code says that not all were."""
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "good.md").write_text("# Good\n\nSome text.\n")
    result = tandem(variables, "kb", "add", str(tmp_path / "empty.md"), str(tmp_path / "good.md"))

    assert result.returncode == 1
    assert result.stdout.startswith("1 added, 0 unchanged, 1 failed")
    assert "empty.md: " in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("kb", "add", "/nowhere"), 1, "there is no such file or folder"),
        (("kb", "add"), 2, "Missing argument"),
        (("kb", "eval", "/nowhere"), 2, "there is no such folder"),
        (("--config", "/nowhere.toml", "doctor"), 2, "No such file"),
        (("fly",), 2, "No such command"),
    ],
)
def test_bad_input_is_answered_in_one_line(
    variables: dict[str, str], words: tuple[str, ...], code: int, said: str
) -> None:
    """What is wrong, where, and an exit code; never a traceback."""
    result = tandem(variables, *words)

    assert result.returncode == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_document_is_answered_with_what_comes_close(
    variables: dict[str, str], documents: Path
) -> None:
    """A typing error costs one look, not a search."""
    tandem(variables, "kb", "add", str(documents))
    result = tandem(variables, "kb", "remove", "return.md")

    assert result.returncode == 1
    assert "did you mean documents/returns.md?" in result.stderr


def test_all_wrong_settings_are_reported_together(variables: dict[str, str]) -> None:
    """Those of a channel too, which its own module judges; nothing is started."""
    result = tandem(
        variables
        | {
            "TANDEM_SERVER__PORT": "8080",
            "TANDEM_CHANNELS__WEB__SOCKETS_PER_ADDRESS": "none",
            "TANDEM_CHANNELS__WEB__SOKETS": "3",
            "TANDEM_CHANNELS__PIGEON__TOKEN": "b7f0c1d2e3a4958677665544332211ff",
        },
        "serve",
    )

    assert result.returncode == 2
    for part in ("sockets_per_address = 'none'", "channels.web.sokets", "channels.pigeon"):
        assert part in result.stderr
    assert "TANDEM_CHANNELS__WEB__SOKETS" in result.stderr
    assert "b7f0c1d2" not in result.stderr


def test_a_second_server_refuses_with_one_line(beside: dict[str, str]) -> None:
    """F18: it names the process that has the data folder."""
    result = tandem(beside, "serve")

    assert result.returncode == 1
    assert "already uses the data folder" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_taken_port_is_said_with_the_setting_to_change(
    server: Running, variables: dict[str, str]
) -> None:
    """Nothing is started beside it."""
    port = server.url.rpartition(":")[2]
    result = tandem(variables | {"TANDEM_SERVER__PORT": port}, "serve")

    assert result.returncode == 1
    assert "TANDEM_SERVER__PORT" in result.stderr


def test_a_first_run_says_where_to_click(server: Running) -> None:
    """Chat, console, and the link that makes the first admin."""
    output = server.output.read_text()

    assert f"{server.url}/\n" in output
    assert f"{server.url}/console#/welcome/" in output
    assert "Traceback" not in output


def test_beside_a_server_its_own_librarian_answers(beside: dict[str, str]) -> None:
    """The sample manual was taken in; both languages are answered from it, and Peru is not."""

    def ask(text: str) -> dict[str, object]:
        result = tandem(beside, "ask", "--json", text)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])

    def everything_is_live() -> bool:
        sources = json.loads(tandem(beside, "kb", "list", "--json").stdout)
        return len(sources) >= 10 and all(one["state"] == "live" for one in sources)

    until(everything_is_live, "the sample is taken in")
    english = ask("How do I hand a conversation back to the bot?")
    chinese = ask("如何转人工?")
    peru = ask("What is the capital of Peru?")

    assert (english["action"], english["language"]) == ("answer", "en")
    assert (chinese["action"], chinese["language"]) == ("answer", "zh")
    assert peru["action"] == "decline"


def test_people_are_added_beside_a_server_and_without_one(
    beside: dict[str, str], variables: dict[str, str]
) -> None:
    """The link is printed once; the same address twice is refused."""
    for where in (beside, variables):
        added = tandem(where, "agents", "add", "ana@shop.example", "--name", "Ana", "--admin")
        again = tandem(where, "agents", "add", "Ana@shop.example")
        listed = tandem(where, "agents", "list", "--json")

        assert added.returncode == 0, added.stderr
        assert "/console#/welcome/" in added.stdout
        assert again.returncode == 1
        assert "somebody has this e-mail already" in again.stderr
        (ana,) = json.loads(listed.stdout)
        assert (ana["name"], ana["role"], ana["has_password"]) == ("Ana", "admin", False)


def test_chat_beside_a_server_is_a_visit_to_its_web_chat(beside: dict[str, str]) -> None:
    """Asking for a person works in the terminal, since the gateway is there."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "chat"],
        env=beside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("a person, please\n")
    process.stdin.flush()
    line = process.stdout.readline()
    process.stdin.write("\n")
    process.stdin.close()

    assert "bringing in a person" in line
    assert process.wait(30) == 0
    process.stdout.close()


def test_doctor_finds_a_running_server_well(beside: dict[str, str]) -> None:
    """Every setting with its origin, every part checked live, plain http warned of."""
    result = tandem(beside, "doctor", "--json")
    report = json.loads(result.stdout)

    assert result.returncode == 0, result.stdout
    states = {check["part"]: check["state"] for check in report["checks"]}
    assert set(states.values()) <= {"ok", "warning"}
    assert states["transport"] == "warning"
    origins = {setting["key"]: setting["origin"] for setting in report["settings"]}
    assert origins["data_dir"] == "TANDEM_DATA_DIR"
    assert origins["server.host"] == "default"


def test_doctor_is_red_when_something_is_wrong(variables: dict[str, str], tmp_path: Path) -> None:
    """A file where the data folder should be."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = tandem(variables | {"TANDEM_DATA_DIR": str(blocked / "data")}, "doctor")

    assert result.returncode == 1
    assert "cannot be used" in result.stdout


def test_the_librarian_comes_back_and_people_answer_meanwhile(tmp_path: Path) -> None:
    """kill -9 of the librarian: the server says degraded, then it is well again. SIGTERM ends both
    in order, and a kill -9 of the server leaves no librarian behind."""
    with running(environ(tmp_path / "data")) as server:
        until(lambda: server.ready()["status"] == "ready", "the server is ready")
        first = int((server.folders.data_dir / "librarian.lock").read_text())
        os.kill(first, signal.SIGKILL)
        until(lambda: server.ready()["status"] == "degraded", "the loss is noticed")
        until(lambda: server.ready()["status"] == "ready", "the librarian is back")
        second = int((server.folders.data_dir / "librarian.lock").read_text())
        server.process.kill()
        server.process.wait()
        until(lambda: not server.folders.is_locked("librarian"), "the librarian is gone too")

    assert first != second


def test_sigterm_ends_the_server_in_order(tmp_path: Path) -> None:
    """Exit code 0, and no process or socket is left."""
    with running(environ(tmp_path / "data")) as server:
        until(lambda: server.ready()["status"] == "ready", "the server is ready")
        server.process.terminate()
        code = server.process.wait(25)

    assert code == 0
    assert not server.folders.is_locked("librarian")
    assert not server.folders.admin_socket.exists()
