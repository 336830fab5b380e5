"""The documents are true: what they name exists, with the value they give."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.core import TyperGroup
from typer.main import get_command

import cli
from channels.web.fields import ServerFrame
from channels.web.problems import KINDS

ROOT = Path(__file__).parent.parent
FOLDERS = ("storage", "rag", "gateway", "channels", "agent_inbox", "config")

# A command line in quotes, in a table, in a block, or between Chinese words.
COMMAND = r"(?:[`\"/|]|[\u3000-\uffef]) ?(tandem [a-z][a-z -]*)"

DAY = 86_400
SECONDS = {"minutes": 60, "hours": 3_600, "days": DAY}  # how limits of time are counted on the page

# Variables that are no settings: they name the settings file, or belong to the tests.
OTHER_VARIABLES = {
    "TANDEM_CONFIG",
    "TANDEM_FAILPOINTS",
    "TANDEM_REQUIRE",
    "TANDEM_TEST_POSTGRES",
}

WORDS = """
channel surface contact identity conversation message note delivery turn signal hand-over
hand-back case claim lease brief lesson review source revision chunk citation evidence
decision calibration coverage risk flow slot connector route queue epoch seq port twin
librarian
"""

# What the manual says in figures: page, words in English and Chinese, and what makes them true.
FIGURES = [
    ("documents.md", "20 MB", "20 MB", "rag.limits.upload_bytes_max", 20_000_000),
    ("documents.md", "20,000", "20,000", "rag.split.SplitLimits.chunks_max", 20_000),
    ("documents.md", "2,000 pages", "2,000 页", "rag.load.pdf.PAGES_MAX", 2_000),
    ("running-tandem.md", "8080", "8080", "server.port", 8080),
    ("web-chat.md", "40,000 ch", "40,000 个", "channels.web.fields.TEXT_CHARS_MAX", 40_000),
    ("email.md", "10 MB", "10 MB", "channels.email.mail_bytes_max", 10_000_000),
    ("web-chat.md", "20 me", "20 条", "channels.web.settings.Settings.messages_per_minute", 20),
    ("web-chat.md", "10 files", "10 个文件", "gateway.files.FILES_PER_MESSAGE_MAX", 10),
    ("web-chat.md", "20 MB", "20 MB", "gateway.files.FILE_BYTES_MAX", 20_000_000),
    ("agents-console.md", "10 files", "10 个文件", "gateway.files.FILES_PER_MESSAGE_MAX", 10),
    ("agents-console.md", "20 MB", "20 MB", "gateway.files.FILE_BYTES_MAX", 20_000_000),
    ("hand-back-and-resolve.md", "three d", "三天", "gateway.conversations.REOPEN_WITHIN", 3 * DAY),
    ("admin-and-team.md", "12 ch", "12 个", "agent_inbox.auth.PASSWORD_CHARS_MIN", 12),
    ("admin-and-team.md", "24 h", "24 小时", "agent_inbox.auth.FIRST_RUN_VALID", DAY),
    ("admin-and-team.md", "72 h", "72 小时", "agent_inbox.auth.INVITATION_VALID", 3 * DAY),
    ("agents-console.md", "8 h", "8 小时", "agent_inbox.auth.SESSION_IDLE_MAX", DAY / 3),
    ("agents-console.md", "7 d", "7 天", "agent_inbox.auth.SESSION_AGE_MAX", 7 * DAY),
    ("web-chat.md", "10 min", "10 分钟", "gateway.crossing.CODE_VALID", 600),
    ("talk-to-a-person.md", "third", "第三次", "gateway.handoff.repeats_max", 3),
    ("talk-to-a-person.md", "twice", "两次", "gateway.handoff.declines_max", 2),
]


def pages() -> list[Path]:
    """Every Markdown file of ours, and the example of an environment."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return [*found, *(ROOT / "knowledge").rglob("*.md"), ROOT / ".env.example"]


@cache
def settings() -> dict[str, Any]:
    """Dotted key → default, of `config/default.toml`."""
    return dict(_leaves(tomllib.loads((ROOT / "config/default.toml").read_text("utf-8"))))


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield prefix + name, value


def code(dotted: str) -> ast.AST | None:
    """What a name such as `gateway.router.Router.receive` stands for in our code, unimported."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:cut])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file():
                return _inside(ast.parse(file.read_text("utf-8")), parts[cut:])
    return None


def _inside(node: ast.AST, names: list[str]) -> ast.AST | None:
    for name in names:
        node = next((part for part in getattr(node, "body", []) if name in _names(part)), None)  # pyright: ignore[reportAssignmentType]
        if node is None:
            return None
    return node


def _names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.AnnAssign):
        return {node.target.id} if isinstance(node.target, ast.Name) else set()
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return set()


def value_of(name: str) -> Any:
    """The value of a setting or of a constant in the code."""
    if name in settings():
        return settings()[name]
    node = code(name)
    assert isinstance(node, ast.Assign | ast.AnnAssign), f"{name} is neither setting nor constant"
    assert node.value is not None
    return _number(node.value)


def _number(node: ast.expr) -> float:
    """A number, a product of numbers, or a `timedelta` in seconds."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _number(left) * _number(right)
        case ast.Call(func=ast.Name(id="timedelta"), keywords=[ast.keyword(arg=unit, value=value)]):
            seconds = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
            return _number(value) * seconds[unit or "seconds"]
        case _:
            raise AssertionError(f"not a number: {ast.unparse(node)}")


def test_every_setting_has_its_sentence():
    """Above each setting and each default stands a comment that says what it does."""
    lines = (ROOT / "config/default.toml").read_text("utf-8").splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"[a-z_]+ *=", line) and not re.match(r"# .+[.?)\]}\"\d\w]$", before)
    ]

    assert bare == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_variable_that_a_page_names_exists(page: Path):
    """TANDEM_SERVER__PORT is the setting server.port, or it is listed as something else."""
    named = set(re.findall(r"\bTANDEM_[A-Z][A-Z_]*[A-Z]\b", page.read_text("utf-8")))
    known = {f"TANDEM_{key.upper().replace('.', '__')}" for key in settings()}

    assert named - known - OTHER_VARIABLES == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_name_from_the_code_exists(page: Path):
    """`gateway.router.Router.receive` in a page is a name in the code, or a setting."""
    quoted = re.findall(rf"`((?:{'|'.join(FOLDERS)}|app|cli)(?:\.\w+)+)`", page.read_text("utf-8"))
    sections = {key.rsplit(".", 1)[0] for key in settings()}
    files = {name for name in quoted if (ROOT / name).is_file() or name.endswith(".db")}
    wrong = [
        name
        for name in set(quoted) - files - sections - set(settings())
        if code(name) is None and not any(section.startswith(f"{name}.") for section in sections)
    ]

    assert wrong == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path):
    """A link to another file of ours resolves; one to the world is a whole address."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    local = [target.split("#")[0] for target in targets if "://" not in target]

    assert [target for target in local if target and not (page.parent / target).exists()] == []


def limits() -> list[tuple[str, str, str]]:
    """(what, limit, place) for each place that a row of docs/limits.md names."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs/limits.md").read_text("utf-8").splitlines()
        if line.startswith("|") and line.count("|") == 5
    ]
    return [
        (row[0], row[1], place)
        for row in rows
        if row[1] not in ("Limit", "---")
        for place in re.findall(r"`([^`]+)`", row[2])
    ]


@pytest.mark.parametrize(("what", "limit", "place"), limits())
def test_a_limit_is_what_the_page_says(what: str, limit: str, place: str):
    """The number in docs/limits.md is the one in the code or the settings."""
    unit = SECONDS.get(what.split(" ", maxsplit=1)[0], 1)
    said = float(limit.replace(",", "")) * unit

    assert value_of(place) == said, what


def test_every_limit_is_on_the_page():
    """A setting or a field of a `…Limits` class that ends in `_max` has its row."""
    listed = {place for _, _, place in limits()}
    keys = {key for key in settings() if key.endswith("_max")}
    by_setting = {key.rsplit(".", 1)[1] for key in keys}
    fields = {
        f"{'.'.join(file.relative_to(ROOT).with_suffix('').parts)}.{node.name}.{name}"
        for folder in FOLDERS
        if folder != "config"  # its classes mirror default.toml
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Limits")
        for part in node.body
        if isinstance(part, ast.AnnAssign)
        for name in _names(part)
        if name.endswith("_max") and name not in by_setting
    }

    assert sorted((fields | keys) - listed) == []


def test_the_glossary_defines_each_word_once():
    """One word, one line, one sentence."""
    text = (ROOT / "docs/glossary.md").read_text("utf-8")
    entries = re.findall(r"^- \*\*(.+?)\*\*: (.+)$", text, re.MULTILINE)
    words = [word for word, _ in entries]

    assert sorted(words) == sorted(set(words))
    assert set(re.findall(r"[\w-]+", WORDS)) - set(words) == set()
    assert [word for word, sentence in entries if not re.fullmatch(r"[^.].*[^.]\.", sentence)] == []


def test_the_pages_use_words_of_the_makefile():
    """`make WORD` in a document is a word that the Makefile knows and explains."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    words = set(re.findall(r"^([a-z]+):.*# .+\.$", makefile, re.MULTILINE))
    quoted = re.compile(r"[`\"]make ([a-z ]+)|^make ([a-z ]+)", re.MULTILINE)
    wrong = {
        f"{page.name}: make {word}"
        for page in pages()
        for found in quoted.finditer(page.read_text("utf-8"))
        for word in (found[1] or found[2]).split()
        if word not in words
    }

    assert words >= {"setup", "run", "demo", "check", "test", "bench"}
    assert wrong == set()


def test_every_command_in_the_pages_exists():
    """`tandem kb add` in a document is a command, and each command is in the manual."""
    known = set(_commands(get_command(cli.build()), "tandem"))
    groups = {name.rsplit(" ", 1)[0] for name in known if name.count(" ") == 2}
    wrong = {
        f"{page.name}: {name}"
        for page in pages()
        for quote in re.findall(COMMAND, page.read_text("utf-8"))
        if (name := _command_in(quote, groups)) not in known | groups
    }
    table = manual("en")["command-line.md"]

    assert wrong == set()
    assert [name for name in known if f"| {name} |" not in table] == []


def _commands(command: Any, name: str) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for word, inner in command.commands.items():
            yield from _commands(inner, f"{name} {word}")
    else:
        yield name


def _command_in(quote: str, groups: set[str]) -> str:
    """The words of a quoted command line that name the command."""
    words = re.split(r"[^a-z ]", quote)[0].split()
    return " ".join(words[: 3 if " ".join(words[:2]) in groups else 2])


def test_the_web_chats_errors_are_those_of_the_page():
    """Each problem type of the web chat has its row with its status, and no row is invented."""
    page = (ROOT / "docs/web-channel.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d{3}) \| `urn:tandem:([a-z-]+)` \|", page, re.MULTILINE)

    assert {(int(status), name) for status, name in rows} == {
        (kind.status, name) for name, kind in KINDS.items()
    }


def test_the_web_chats_frames_are_those_of_the_page():
    """Each frame that the server sends has its row with its fields."""
    page = (ROOT / "docs/web-channel.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z]+)` \| ((?:`[a-z]+`(?:, )?)*) ?\| [a-z]", page, re.MULTILINE)
    frames = {
        str(form.__struct_config__.tag): set(form.__struct_fields__)
        for form in get_args(ServerFrame)
    }

    assert {name: set(re.findall(r"[a-z]+", fields)) for name, fields in rows} == frames


def manual(language: str) -> dict[str, str]:
    return {
        page.name: page.read_text("utf-8")
        for page in sorted((ROOT / "knowledge" / language).glob("*.md"))
    }


def test_the_manual_is_the_same_in_both_languages():
    """Each page has its twin, with the same headings, lists and tables in the same order."""
    english, chinese = manual("en"), manual("zh")

    assert list(english) == list(chinese)
    assert {name: _skeleton(text) for name, text in english.items()} == {
        name: _skeleton(text) for name, text in chinese.items()
    }


def _skeleton(text: str) -> list[str]:
    """The mark at the beginning of each line that has one: #, ##, -, |."""
    return re.findall(r"^(#+|-|\|)", text, re.MULTILINE)


@pytest.mark.parametrize(("page", "english", "chinese", "name", "value"), FIGURES)
def test_a_figure_in_the_manual_is_that_of_the_code(
    page: str, english: str, chinese: str, name: str, value: float
):
    """A limit that changes is changed in both manuals too, or this fails."""
    assert english in manual("en")[page]
    assert chinese in manual("zh")[page]
    assert value_of(name) == value


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_manual_names_the_buttons_as_they_are(language: str):
    """The labels in the page about people are those of the phrases."""
    phrases = tomllib.loads((ROOT / f"config/phrases/{language}.toml").read_text("utf-8"))
    page = manual(language)["talk-to-a-person.md"]

    assert phrases["button"]["human"] in page
    assert phrases["button"]["bot"] in page


# Labels of the console that a page of the manual tells people to press.
CONSOLE_LABELS = {
    "agents-console.md": (
        "list.queue", "list.mine", "list.all", "do.claim", "do.take_over", "do.release",
        "write.send", "write.save_note", "people.join", "people.undo", "file.attach", "file.show",
        "delivery.unknown", "delivery.failed", "delivery.resend",
    ),
    "hand-back-and-resolve.md": ("do.hand_back", "do.release", "do.resolve", "list.all"),
    "documents.md": (
        "nav.knowledge", "know.remove", "rev.live", "know.add_page", "know.roll_back",
    ),
    "admin-and-team.md": ("nav.team", "do.add"),
}  # fmt: skip


@pytest.mark.parametrize(("language", "place"), [("en", 0), ("zh", 1)])
def test_the_manual_names_the_consoles_buttons_as_they_are(language: str, place: int):
    """What an agent is told to press is written on the button."""
    words = (ROOT / "agent_inbox/console/static/words.js").read_text("utf-8")
    labels = {
        key: re.findall(rf'"{re.escape(key)}": "([^"]+)"', words)[place]
        for keys in CONSOLE_LABELS.values()
        for key in keys
    }
    told = manual(language)
    wrong = [
        f"{page}: {labels[key]}"
        for page, keys in CONSOLE_LABELS.items()
        for key in keys
        if labels[key] not in told[page]
    ]

    assert wrong == []


def test_every_proof_that_a_page_names_is_a_test():
    """docs/faults.md promises tests by their names: each of them is there."""
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/faults.md").read_text("utf-8")))

    assert len(named) > 50
    assert named - there == set()
