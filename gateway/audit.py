"""The audit: who did what, when and why. Append-only (a trigger refuses more) and hash-chained."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from gateway.models import Audit, AuditHead


def note_down(
    session: Session, *, at: datetime, actor: str, action: str, subject: str, **detail: Any
) -> None:
    """Append one entry in the caller's transaction: if it cannot be written, nothing is done."""
    head = session.get(AuditHead, 1, with_for_update=True, populate_existing=True)
    if head is None:
        head = AuditHead(id=1, hash="")
        session.add(head)
    entry = Audit(
        at=at, actor=actor, action=action, subject=subject, detail=detail,
        previous_hash=head.hash, hash="",
    )  # fmt: skip
    entry.hash = head.hash = _digest(entry)
    session.add(entry)
    session.flush()


def first_broken(session: Session) -> int | None:
    """The id of the first entry that does not continue the chain, or None if all is whole."""
    previous = ""
    for entry in session.exec(select(Audit).order_by(col(Audit.id))).yield_per(500):
        if entry.previous_hash != previous or entry.hash != _digest(entry):
            return entry.id
        previous = entry.hash
    head = session.get(AuditHead, 1)
    return None if head is None or head.hash == previous else -1


def _digest(entry: Audit) -> str:
    content: Mapping[str, Any] = {
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "previous": entry.previous_hash,
    }
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
