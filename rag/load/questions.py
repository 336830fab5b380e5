"""Question lists: which column is which, by its header or, where that is clear, by its place."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rag.load.values import FaqEntry
from rag.types import Language

Rows = list[list[str]]
Role = Literal["question", "answer", "phrasing", "audience", "language", "section"]
Roles = dict[int, Role]  # column → what it holds

PHRASINGS_MAX = 50  # of one entry

# Header names, folded: letters and Han only, lower case.
_HEADERS: dict[Role, str] = {
    "question": "question questions q query faq ask 问题 問題 提问 提問 标准问题 標準問題 标准问"
    " 標準問 问 問 问句 問句",
    "answer": "answer answers a reply response 答案 回答 答 答复 答覆 回复 回覆 标准答案 標準答案",
    "phrasing": "phrasing phrasings extraphrasing extraphrasings otherphrasings"
    " alternativephrasings alternative alternatives variant variants synonym synonyms"
    " similarquestion similarquestions alsoasked 相似问题 相似問題 相似问 相似問 相似问法 相似問法"
    " 其他问法 其他問法 别的问法 扩展问 擴展問 同义问 同义问题 问法 問法",
    "audience": "audience audiences visibility visibleto who 受众 受眾 可见范围 可見範圍 对象 對象"
    " 适用人群 適用人群",
    "language": "language lang locale 语言 語言 语种 語種",
    "section": "topic category section group theme 分类 分類 类别 類別 主题 主題 类目 類目",
}
_NAMES: dict[str, Role] = {name: role for role, names in _HEADERS.items() for name in names.split()}
_LANGUAGES: dict[str, Language] = {
    "en": "en", "eng": "en", "english": "en", "英文": "en", "英语": "en", "英語": "en",
    "zh": "zh", "chi": "zh", "chinese": "zh", "cn": "zh", "中文": "zh", "汉语": "zh", "漢語": "zh",
}  # fmt: skip
_AUDIENCES = {
    "公开": "public", "公開": "public", "所有人": "public", "everyone": "public", "all": "public",
    "客户": "customers", "客戶": "customers", "顾客": "customers", "customer": "customers",
    "员工": "staff", "員工": "staff", "内部": "staff", "內部": "staff", "internal": "staff",
    "agents": "staff",
}  # fmt: skip
_ASKS = re.compile(r"[?？]\W*$")
_FOLDED = re.compile(r"[\W\d_]+")
_SEPARATORS = re.compile(r"\s*(?:\n|\||；|;)\s*")
_ASKING_SHARE_MIN = 0.6
_ROWS_MIN = 2
_HEADER_ROWS_MAX = 10  # a title or a remark may stand above the header


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a question list begins, and what each of its columns holds."""

    first_row: int
    roles: Roles


def layout_of(rows: Rows) -> Layout | None:
    """By the first row that names a question and an answer column; with none, by place. None: the
    sheet is no list of questions."""
    for at, row in enumerate(rows[:_HEADER_ROWS_MAX]):
        roles: Roles = {}
        for column, cell in enumerate(row):
            role = _role(cell)
            if role is not None and (role == "phrasing" or role not in roles.values()):
                roles[column] = role
        if {"question", "answer"} <= set(roles.values()):
            return Layout(at + 1, roles)
    return _by_place(rows)


def entries_of(rows: Rows, layout: Layout, *, section: str) -> tuple[list[FaqEntry], list[int]]:
    """The entries, and the numbers of the rows that lack a question or an answer."""
    entries: list[FaqEntry] = []
    skipped: list[int] = []
    for number, row in enumerate(rows[layout.first_row :], start=layout.first_row + 1):
        entry = _entry(row, layout.roles, section)
        if entry is not None:
            entries.append(entry)
        elif any(row):
            skipped.append(number)
    return entries, skipped


def audience_named(text: str) -> str | None:
    """The audience that a cell means; None for an empty one."""
    folded = " ".join(text.split()).lower()
    return _AUDIENCES.get(folded, folded) or None


def _role(cell: str) -> Role | None:
    folded = _FOLDED.sub("", cell.lower())
    return _NAMES.get(folded)


def _by_place(rows: Rows) -> Layout | None:
    """Two columns of which the first asks and the second does not are clear; more are not."""
    some = [row for row in rows if any(row)]
    if len(some) < _ROWS_MIN or len(some[0]) != 2:
        return None
    asking = sum(bool(_ASKS.search(row[0])) for row in some)
    answering = sum(bool(row[1]) and not _ASKS.search(row[1]) for row in some)
    is_clear = min(asking, answering) >= _ASKING_SHARE_MIN * len(some)
    return Layout(0, {0: "question", 1: "answer"}) if is_clear else None


def _entry(row: Sequence[str], roles: Roles, section: str) -> FaqEntry | None:
    cells: dict[Role, list[str]] = {}
    for at, role in roles.items():
        if row[at]:
            cells.setdefault(role, []).append(row[at])
    question, answer = " ".join(_one(cells, "question").split()), _one(cells, "answer")
    if not question or not answer:
        return None
    wordings = [
        " ".join(part.split())
        for cell in cells.get("phrasing", [])
        for part in _SEPARATORS.split(cell)
    ]
    others = [one for one in dict.fromkeys(wordings) if one and one != question]
    return FaqEntry(
        question=question,
        answer=answer,
        phrasings=tuple(others[:PHRASINGS_MAX]),
        section=_one(cells, "section") or section,
        audience=audience_named(_one(cells, "audience")),
        language=_LANGUAGES.get(_one(cells, "language").lower()[:10].split("-")[0]),
    )


def _one(cells: dict[Role, list[str]], role: Role) -> str:
    return cells.get(role, [""])[0]
