"""Files on their way: uploaded before a message carries them, read by whoever may, and swept.

An upload is a row first and bytes then, so that no file is without a row that can be swept. It
belongs to who uploaded it until a message carries it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from sqlmodel import Session, col, delete, func, or_, select, update

from gateway.errors import (
    ChannelError,
    EmptyFile,
    NoSuchFile,
    Refused,
    TooMuch,
    Unavailable,
    Unreachable,
)
from gateway.files import (
    FILE_BYTES_MAX,
    Files,
    described,
    id_of,
    is_own,
    label_of,
    media_type_of,
    own,
)
from gateway.messages import Attachment
from gateway.models import KeptFile
from gateway.ports import Channel, Clock, Fetches
from gateway.store import Store, insert
from storage.database import DatabaseError

log = structlog.get_logger()

UNUSED_MAX = 20  # uploads of one person that no message carries yet
USABLE_FOR = timedelta(hours=23)  # then no message can name them any more
UNUSED_FOR = timedelta(hours=24)  # then they are deleted
SWEPT_MAX = 100  # files deleted in one sweep
SWEEP_S = 600.0
FETCHES_AT_ONCE = 4  # each holds a whole file in memory
FETCHES_WAITING_MAX = 32
FETCH_WAIT_S = 30.0


class Attachments:
    """Takes uploads in, and gets the bytes behind an attachment, wherever they are kept."""

    def __init__(
        self, store: Store, files: Files, clock: Clock, channels: Mapping[str, Channel]
    ) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._channels = channels
        self._room = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._asking = 0

    async def take(self, owner: str, name: str, content: bytes) -> Attachment:
        """Keep an upload. Its type is that of its first bytes, whatever it is called.

        Raises EmptyFile, TooMuch, and like `Store.write`.
        """
        if not content:
            raise EmptyFile("the file is empty")
        file = described(label_of(name), media_type_of(content), content)
        now = self._clock()
        await self._store.write(lambda session: _note(session, owner, file, now))
        await asyncio.to_thread(self._files.write, file.reference, content)
        return file

    async def bytes_of(self, channel: str, attachment: Attachment) -> bytes:
        """The bytes of an attachment of a message that came in on, or went out to, `channel`.

        Raises Refused when nobody has them (any more), another ChannelError when they cannot be
        had now, TooMuch when too many ask at once.
        """
        if self._asking >= FETCHES_AT_ONCE + FETCHES_WAITING_MAX:
            raise TooMuch("too many files are asked for", limit="fetches_waiting_max", wait_s=2)
        self._asking += 1
        try:
            async with self._room:
                content = await self._get(channel, attachment)
        finally:
            self._asking -= 1
        if len(content) > FILE_BYTES_MAX:
            raise Refused("the file is too large")
        return content

    async def _get(self, channel: str, attachment: Attachment) -> bytes:
        if self._files.holds(attachment.reference):
            try:
                return await asyncio.to_thread(self._files.load, attachment.reference)
            except FileNotFoundError:
                raise Refused("the file is not kept any more") from None
        provider = self._channels.get(channel)
        if not attachment.reference or not isinstance(provider, Fetches):
            raise Refused("nobody has the bytes of this")
        try:
            async with asyncio.timeout(FETCH_WAIT_S):
                return await provider.fetch(attachment, bytes_max=FILE_BYTES_MAX)
        except TimeoutError:
            raise Unreachable(f"{channel} did not hand it out in {FETCH_WAIT_S:g} s") from None
        except ChannelError:
            raise
        except Exception as error:
            log.warning("fetch_failed", channel=channel, error=type(error).__name__)
            raise Unavailable(f"{channel} could not hand it out") from error

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except (DatabaseError, OSError) as error:
                log.warning("file_sweep_failed", error=type(error).__name__)
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> int:
        """Delete what no message carries after a day; how many. What a crash interrupts is found
        by the next sweep: a file first loses its owner, then its bytes, then its row."""
        before = self._clock() - UNUSED_FOR
        ids = await self._store.write(lambda session: _disown(session, before))
        for file_id in ids:
            await asyncio.to_thread(self._files.remove, own(file_id))
        if ids:
            await self._store.write(lambda session: _forget(session, ids))
        return len(ids)


def uploaded(
    session: Session, owner: str, ids: Sequence[str], *, now: datetime
) -> tuple[Attachment, ...]:
    """The uploads of `owner` with these ids, in their order. Raises NoSuchFile, also for those
    that the next sweep may take."""
    if not ids:
        return ()
    rows = session.exec(
        select(KeptFile).where(
            col(KeptFile.id).in_(ids),
            KeptFile.owner == owner,
            col(KeptFile.message_id).is_not(None) | (col(KeptFile.created_at) > now - USABLE_FOR),
        )
    )
    found = {row.id: row for row in rows}
    if missing := [one for one in ids if one not in found]:
        raise NoSuchFile(f"{len(missing)} of the files are not there any more")
    return tuple(_attachment(found[one]) for one in ids)


def carry(session: Session, message_id: str, attachments: Iterable[Attachment]) -> None:
    """A message carries these now: what is ours of them stays as long as the message."""
    ids = [id_of(one.reference) for one in attachments if is_own(one.reference)]
    if ids:
        session.connection().execute(
            update(KeptFile)
            .where(col(KeptFile.id).in_(ids), col(KeptFile.message_id).is_(None))
            .values(message_id=message_id)
        )


def _attachment(row: KeptFile) -> Attachment:
    return Attachment(
        kind="image" if row.kind == "image" else "file",
        name=row.name, media_type=row.media_type, size_bytes=row.size_bytes, reference=own(row.id),
    )  # fmt: skip


def _note(session: Session, owner: str, file: Attachment, now: datetime) -> None:
    unused = session.exec(
        select(func.count())
        .select_from(KeptFile)
        .where(KeptFile.owner == owner, col(KeptFile.message_id).is_(None))
    ).one()
    if unused >= UNUSED_MAX:
        raise TooMuch(f"{unused} uploaded files wait to be sent", limit="unused_max", wait_s=60)
    insert(session, KeptFile, {
        "id": id_of(file.reference), "owner": owner, "message_id": None, "kind": file.kind,
        "name": file.name, "media_type": file.media_type, "size_bytes": file.size_bytes,
        "created_at": now,
    })  # fmt: skip


def _disown(session: Session, before: datetime) -> list[str]:
    """Let nobody send them any more; the ids of all that are to be deleted."""
    unused = (col(KeptFile.message_id).is_(None), col(KeptFile.created_at) < before)
    ids = session.exec(
        select(KeptFile.id)
        .where(col(KeptFile.message_id).is_(None), or_(KeptFile.owner == "", unused[1]))
        .limit(SWEPT_MAX)
    ).all()
    session.connection().execute(
        update(KeptFile).where(col(KeptFile.id).in_(ids), *unused).values(owner="")
    )
    return list(
        session.exec(
            select(KeptFile.id).where(col(KeptFile.id).in_(ids), KeptFile.owner == "")
        )
    )  # fmt: skip


def _forget(session: Session, ids: Sequence[str]) -> None:
    session.connection().execute(delete(KeptFile).where(col(KeptFile.id).in_(ids)))
