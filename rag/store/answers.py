"""Why answers were given, and how evidence became a probability."""

from sqlmodel import Session, col, select

from rag import models


def save_record(session: Session, record: models.Record) -> None:
    """Keep the record of one answer; the same id again replaces it."""
    session.merge(record)


def load_record(session: Session, record_id: str) -> models.Record | None:
    """Why the answer with that record was given; None if there is no such record."""
    return session.get(models.Record, record_id)


def save_calibration(session: Session, calibration: models.Calibration) -> None:
    """Keep a calibration: being the newest, it is in force from this commit on."""
    session.merge(calibration)


def newest_calibration(session: Session) -> models.Calibration | None:
    """The calibration in force; None before the first."""
    newest = col(models.Calibration.id).desc()
    return session.exec(select(models.Calibration).order_by(newest).limit(1)).one_or_none()
