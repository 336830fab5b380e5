"""The values that cross rag's border, and those its own modules hand each other.

Frozen, slotted, importing nothing of rag's. They travel between processes as JSON (msgspec reads
and writes dataclasses), so every field is plain data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

Language = Literal["en", "zh"]
Role = Literal["customer", "bot", "agent"]
Action = Literal["answer", "suggest", "decline"]
Verdict = Literal["answered", "unsure", "out_of_scope"]
TextKind = Literal["query", "document"]
ChunkKind = Literal["text", "table", "list", "code", "faq"]


class Reason(StrEnum):
    """Why a decision came out as it did. A closed list: words for people are in the phrases."""

    CONFIDENT = "confident"  # p reached the answering cut
    BETWEEN = "between"  # p lies between the two cuts
    FAR_OUT_OF_SCOPE = "far_out_of_scope"  # nothing in the base is about this
    NO_PASSAGE = "no_passage"  # the topic is known, the passage is not there
    LOOK_ALIKE = "look_alike"  # a passage resembles the question but lacks its rare terms
    NOT_A_QUESTION = "not_a_question"  # thanks, a greeting, small talk
    OTHER_LANGUAGE = "other_language"  # the evidence is in a language the question is not in
    EMPTY_BASE = "empty_base"  # nothing is published for this audience
    VALUE_CHECK = "value_check"  # the text held a value that no cited passage holds
    NOT_IN_PASSAGES = "not_in_passages"  # the model read the passages: the answer is not there
    RESTATED = "restated"  # found by the question as a model restated it from the talk
    TRANSLATED = "translated"  # found by the question as a model translated it
    ASSIST_MODE = "assist_mode"  # automatic answering is not certified
    KEYWORDS_ONLY = "keywords_only"  # the vector leg is down or unfit for this language


@dataclass(frozen=True, slots=True)
class Words:
    """A text for people in both languages."""

    en: str
    zh: str

    def in_language(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier line of the same conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person wants to know. `history` is oldest first and ends before `text`. `asker` is
    whom the tokens are counted for; empty: nobody in particular."""

    text: str
    language: Language | None = None  # None: told from the text
    history: tuple[Turn, ...] = ()
    audience: str = "public"
    asker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A place in a document: `n` is the number shown as [n]; `quote` stands there word for word."""

    n: int
    title: str
    source: str  # the source's name (a file name or an address)
    url: str | None
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Answer, suggest or decline, with the probability `p` in 0..1 that an answer would be right.

    `t_answer` ≥ `t_suggest` are the cuts in force when it was made.
    """

    action: Action
    p: float
    t_answer: float
    t_suggest: float
    reasons: tuple[Reason, ...]
    calibration_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the librarian has to say. `text` is empty when it declines.

    `suggestions` are questions the base can answer, for the band between (at most 3).
    `knowledge_version` is the version of the base that was read: an answer read below the
    gateway's floor must not be sent. `timings_ms` names each step.
    """

    text: str
    citations: tuple[Citation, ...]
    verdict: Verdict
    decision: Decision
    language: Language
    suggestions: tuple[str, ...] = ()
    knowledge_version: int = 0
    record_id: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A live chunk that may hold the answer, with its component scores kept apart.

    `score` is the fused one that orders the list. `keyword` is BM25 over its upper bound for this
    question (0..1); `grams` the character-n-gram overlap (0..1); `vector` the cosine, or None
    where the vector leg did not run.
    """

    chunk_id: str
    source_id: str
    title: str
    source: str
    url: str | None
    heading_path: tuple[str, ...]
    text: str
    kind: ChunkKind
    language: Language
    score: float
    keyword: float
    grams: float
    vector: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found and how good it looks, before any model call. Input of every decision."""

    features: Mapping[str, float]
    candidates: tuple[Candidate, ...]
    knowledge_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call of a language model: `prompt` names purpose, language and version; `failure` is
    why nothing came of it."""

    prompt: str
    model: str
    prompt_tokens: int
    answer_tokens: int
    first_token_ms: float
    total_ms: float
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How an answer came to its words. `writer`: "model", "quoted", or "" where nothing was
    written; `faults`: why a model's text was held back."""

    writer: str = ""
    text: str = ""
    restated: str = ""
    translated: str = ""
    faults: tuple[str, ...] = ()
    calls: tuple[ModelCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChunk:
    """A candidate as a record keeps it: enough to name it, and its scores apart."""

    title: str
    source: str
    heading: str
    content_hash: str
    score: float
    keyword: float
    grams: float
    vector: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why one answer was given, from its record. `differences` is what today's base would do
    otherwise: filled by a replay only."""

    record_id: str
    created_at: datetime
    question: Question
    decision: Decision
    features: Mapping[str, float]
    candidates: tuple[FoundChunk, ...]
    chunk_hashes: tuple[str, ...]
    knowledge_version: int
    writing: Writing
    timings_ms: Mapping[str, float]
    replayed: bool = False
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A line of a talk under the number that people know it by."""

    seq: int
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Point:
    """One statement about a talk, and the numbers of the lines that it rests on."""

    text: str
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the customer wants, what was tried, what matters. None: nothing that can be said."""

    wants: Point | None = None
    tried: Point | None = None
    facts: Point | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """What a calibration promises: false-answer rate and risk with their upper bounds."""

    n: int
    far: float
    far_upper: float
    risk_upper: float
    coverage: float
    per_language: Mapping[str, float]


RevisionState = Literal[
    "queued", "parsing", "embedding", "verifying", "live", "superseded", "failed"
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A document handed in. The same `name` again means a new version of the same source."""

    name: str
    content: bytes
    title: str | None = None  # None: the document's first heading, else its name
    url: str | None = None
    language: Language | None = None
    audience: str | None = None  # None: as it is; public for a new source


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A web page to be fetched and taken in."""

    url: str
    language: Language | None = None
    audience: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a document turned out to be, so that nothing fails silently. Pages count from 1."""

    characters: int = 0
    page_characters: tuple[int, ...] = ()  # empty for what has no pages
    empty_pages: tuple[int, ...] = ()
    scanned_pages: tuple[int, ...] = ()  # pictures: nothing of them can be answered
    chunks: int = 0
    wordings: int = 0  # other phrasings of its questions, each with a vector of its own
    duplicate_share: float = 0.0
    language: Language | None = None
    unknown_token_share: float = 0.0  # of the embedder; high means keywords must do the work
    questions: int = 0  # that it can answer, estimated
    warnings: tuple[Words, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionStatus:
    """Where one version of a document stands. `chunks_embedded` counts vectors made for it anew.
    `can_go_back`: it was complete once, and can be live again at once."""

    revision_id: str
    source_id: str
    source: str
    title: str
    state: RevisionState
    chunks_total: int
    chunks_done: int
    chunks_embedded: int
    reason: Words | None  # why it failed, for the person who uploaded it
    health: Health | None
    created_at: datetime
    audience: str = "public"
    can_go_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """A source as a list shows it: `state` is that of its newest revision."""

    id: str
    name: str
    title: str
    url: str | None
    language: Language | None
    audience: str
    state: RevisionState
    chunks: int
    live_revision_id: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A live chunk as `kb show` prints it. `wordings` are other phrasings of its question."""

    chunk_id: str
    ordinal: int
    heading_path: tuple[str, ...]
    text: str
    kind: ChunkKind
    language: Language
    audience: str = "public"
    wordings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDetail:
    """A source with its versions, newest first, and the passages of the live one."""

    summary: SourceSummary
    revisions: tuple[RevisionStatus, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What the canary found: `healthy` only if every probed vector came back as itself."""

    healthy: bool
    chunks: int
    probed: int
    wrong: int
    rebuilt: bool
    embedded: int  # vectors made anew; 0 when rebuilt from SQL alone
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarianHealth:
    """What the librarian says of itself. `index` and `embedder` are "ok" or a reason, `model` is
    "none" where answers are quoted.

    `settled`: every document handed in is live or has failed, and the calibration in force was
    made for the base as it is. `reembedding` says how far the change to another embedder got; empty
    when there is none.
    """

    ready: bool
    index: str
    embedder: str
    knowledge_version: int
    chunks: int
    queued: int
    settled: bool = True
    model: str = "none"
    reembedding: str = ""
