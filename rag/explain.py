"""Records of answers: made when one is given, read when somebody asks why. Pure."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec

from rag import models
from rag.retrieve import Found
from rag.types import Answer, Decision, Explanation, FoundChunk, Question, Writing

CANDIDATES_MAX = 10  # that a record keeps
_FEATURE_CHANGE_MIN = 0.02


def record_of(
    question: Question, answer: Answer, found: Found | None, writing: Writing, now: datetime
) -> models.Record:
    """What is kept of an answer."""
    return models.Record(
        id=answer.record_id,
        question=asdict(question),
        features=(dict(found.evidence.features) if found else {}) | reader_of(answer, writing),
        decision=asdict(answer.decision),
        chunk_hashes=list(found.hashes) if found else [],
        knowledge_version=answer.knowledge_version,
        timings_ms=dict(answer.timings_ms),
        candidates=[asdict(one) for one in chunks_of(found)],
        writing=asdict(writing),
        created_at=now,
    )


def reader_of(answer: Answer, writing: Writing) -> dict[str, float]:
    """The model's own verdict on the passages as one more feature: 1 it answers from them, 0 it
    finds no answer in them; left out where it was not asked or could not be believed."""
    if writing.writer == "model":
        return {"reader": 1.0}
    declined = "not_in_passages" in answer.decision.reasons
    return {"reader": 0.0} if declined else {}


def chunks_of(found: Found | None) -> tuple[FoundChunk, ...]:
    """The best candidates, with the hash of each."""
    if found is None:
        return ()
    pairs = list(zip(found.evidence.candidates, found.hashes, strict=True))[:CANDIDATES_MAX]
    return tuple(
        FoundChunk(
            title=one.title, source=one.source,
            heading=one.heading_path[-1] if one.heading_path else "", content_hash=content_hash,
            score=one.score, keyword=one.keyword, grams=one.grams, vector=one.vector,
        )
        for one, content_hash in pairs
    )  # fmt: skip


def explanation_of(record: models.Record) -> Explanation:
    """A record as a value. One from before a field was kept has it empty."""
    return Explanation(
        record_id=record.id,
        created_at=record.created_at,
        question=_read(record.question, Question),
        decision=_read(record.decision, Decision),
        features=record.features,
        candidates=_read(record.candidates or [], tuple[FoundChunk, ...]),
        chunk_hashes=tuple(record.chunk_hashes),
        knowledge_version=record.knowledge_version,
        writing=_read(record.writing or {}, Writing),
        timings_ms=record.timings_ms,
    )


def differences(then: Explanation, now: models.Record) -> tuple[str, ...]:
    """What came out otherwise when the same question was asked again, one line each."""
    today = explanation_of(now)
    lines: list[str] = []
    for name, old, new in (
        ("action", then.decision.action, today.decision.action),
        ("p", f"{then.decision.p:.2f}", f"{today.decision.p:.2f}"),
        ("answers from", f"{then.decision.t_answer:.2f}", f"{today.decision.t_answer:.2f}"),
        ("reasons", _listed(then.decision.reasons), _listed(today.decision.reasons)),
        ("knowledge version", then.knowledge_version, today.knowledge_version),
        ("writer", then.writing.writer or "-", today.writing.writer or "-"),
        ("text", then.writing.text or "-", today.writing.text or "-"),
    ):
        if old != new:
            lines.append(f"{name}: {old} → {new}")
    lines += _passages(then.candidates, today.candidates)
    for name in sorted({*then.features, *today.features}):
        old_value, new_value = then.features.get(name, 0.0), today.features.get(name, 0.0)
        if abs(old_value - new_value) >= _FEATURE_CHANGE_MIN:
            lines.append(f"feature {name}: {old_value:.2f} → {new_value:.2f}")
    return tuple(lines)


def _passages(then: Sequence[FoundChunk], today: Sequence[FoundChunk]) -> list[str]:
    old = {one.content_hash: one for one in then}
    new = {one.content_hash: one for one in today}
    gone = [f"passage gone: {_name(one)}" for key, one in old.items() if key not in new]
    return gone + [f"passage new: {_name(one)}" for key, one in new.items() if key not in old]


def _name(chunk: FoundChunk) -> str:
    return f"{chunk.title} › {chunk.heading} ({chunk.source})"


def _listed(reasons: Sequence[str]) -> str:
    return ", ".join(map(str, reasons))


def _read(value: Any, kind: Any) -> Any:
    return msgspec.convert(value, kind, strict=False)
