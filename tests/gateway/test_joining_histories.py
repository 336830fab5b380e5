"""Random histories of one person's accounts, joined and parted while everybody writes."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, col, select

from agent_inbox.desk import Cases
from agent_inbox.models import Agent, Case
from gateway.conversations import Conversations, Draft
from gateway.errors import IllegalMove
from gateway.history import newest
from gateway.links import CannotJoin, NoSuchLink, Why
from gateway.messages import Address, InboundMessage, Sender
from gateway.models import (
    Conversation,
    Delivery,
    Identity,
    Link,
    LinkedAccount,
    Message,
    Turn,
)
from gateway.states import State
from storage.database import Database, DatabaseLimits
from tests.conftest import TurnedClock
from tests.gateway.world import ANA, World

ACCOUNTS = ("web/v1", "memory/c1", "memory/c2", "web/v2")
STEP = st.tuples(
    st.sampled_from(
        ["write", "write", "ask", "claim", "reply", "hand_back", "resolve", "link", "link",
         "unlink", "unlink", "answer", "days"]
    ),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(ACCOUNTS),
)  # fmt: skip


class Life:
    """A world in which steps are taken, and what has to hold after each of them."""

    def __init__(self, database: Database) -> None:
        self.clock = TurnedClock()
        self.world = World(database, self.clock)
        self.world.conversations.inbox = Cases(self.clock)
        self.written: list[str] = []
        self.seen_by_people: set[str] = set()

    async def begin(self) -> None:
        ana = Agent(id="ana", name="Ana", email="ana@example.com", created_at=self.clock())
        await self.world.store.write(lambda session: session.add(ana))

    async def take(self, step: str, account: str, other: str) -> None:
        self.clock.turn(seconds=30)
        if step == "answer":
            await self.world.worker.settle()
        elif step == "days":
            self.clock.turn(days=4)
        elif step in ("write", "ask"):
            await self.world.store.write(lambda session: self._write(session, account, step))
        else:
            with suppress(CannotJoin, NoSuchLink, IllegalMove, LookupError):
                await self.world.store.write(
                    lambda session: getattr(self, f"_{step}")(session, account, other)
                )

    def _write(self, session: Session, account: str, step: str) -> None:
        channel, chat = account.split("/")
        text = f"words number {len(self.written)}"
        self.written.append(text)
        self.world.router.receive(session, InboundMessage(
            address=Address(channel=channel, account="main", chat=chat), external_id=text,
            sender=Sender(external_id=chat, verified=chat.startswith("c")), text=text,
            action="human" if step == "ask" else None,
        ))  # fmt: skip

    def _claim(self, session: Session, account: str, _: str) -> None:
        self.talk.claim(session, self._conversation(session, account), ANA)

    def _reply(self, session: Session, account: str, _: str) -> None:
        conversation = self._conversation(session, account)
        self.talk.claim(session, conversation, ANA)
        self.talk.say(session, conversation, Draft(text="a person's words", author=ANA))

    def _hand_back(self, session: Session, account: str, _: str) -> None:
        self.talk.hand_back(session, self._conversation(session, account), ANA)

    def _resolve(self, session: Session, account: str, _: str) -> None:
        self.talk.resolve(session, self._conversation(session, account), ANA)

    def _link(self, session: Session, account: str, other: str) -> None:
        kept, gone = self._identity(session, account), self._identity(session, other)
        self.world.links.join(session, kept.contact_id, gone.contact_id, Why("agent", "agent:ana"))

    def _unlink(self, session: Session, account: str, _: str) -> None:
        moved = self._identity(session, account)
        links = session.exec(
            select(Link.id)
            .join(LinkedAccount, col(LinkedAccount.link_id) == col(Link.id))
            .where(LinkedAccount.identity_id == moved.id, col(Link.undone_at).is_(None))
        ).all()
        if links:
            link_id = links[len(self.written) % len(links)]  # not always the newest one
            self.world.links.undo(session, link_id, actor="agent:ana", reason="a mistake")

    @property
    def talk(self) -> Conversations:
        return self.world.conversations

    def _identity(self, session: Session, account: str) -> Identity:
        channel, chat = account.split("/")
        found = session.exec(
            select(Identity).where(Identity.channel == channel, Identity.external_id == chat)
        ).first()
        if found is None:
            raise LookupError("they have not written yet")
        return found

    def _conversation(self, session: Session, account: str) -> Conversation:
        found = newest(session, self._identity(session, account).contact_id, "")
        if found is None:
            raise LookupError("they have no conversation")
        return found

    # What has to hold

    def hold(self, session: Session) -> None:
        conversations = {one.id: one for one in session.exec(select(Conversation))}
        messages = session.exec(select(Message).order_by(col(Message.seq))).all()
        owner_of = {one.id: one.contact_id for one in session.exec(select(Identity))}

        said = [one.text for one in messages if one.author == "customer"]
        assert sorted(said) == sorted(self.written), "each message exactly once"
        seqs: dict[str, list[int]] = defaultdict(list)
        for one in messages:
            seqs[one.contact_id].append(one.seq)
            assert owner_of[one.identity_id or ""] == one.contact_id, "history is where it belongs"
            home = conversations[one.conversation_id]
            if home.state != State.BOT:
                self.seen_by_people.add(one.text)
            assert (home.contact_id, home.joined_into) == (one.contact_id, None)
        for contact_id, numbers in seqs.items():
            assert numbers == list(range(1, len(numbers) + 1)), "gapless"
            last = newest(session, contact_id, "")
            assert last is not None
            assert last.next_seq == len(numbers) + 1
        for one in conversations.values():
            if one.joined_into is None:
                assert owner_of[one.reply_identity or ""] == one.contact_id, "replies reach them"
        self._hold_owners(session, conversations)
        self._hold_deliveries(session, conversations, {one.id: one for one in messages})

    def _hold_owners(self, session: Session, conversations: dict[str, Conversation]) -> None:
        cases = {
            one.conversation_id: one for one in session.exec(select(Case)) if one.state != "closed"
        }
        turns = session.exec(select(Turn).where(col(Turn.state).in_(("scheduled", "running"))))
        for turn in turns:
            assert conversations[turn.conversation_id].state == State.BOT
        for one in conversations.values():
            case = cases.get(one.id)
            assert (case is not None) == (one.state in (State.WAITING, State.AGENT)), "one case"
            if case is not None:
                assert case.contact_id == one.contact_id
                assert (case.owner is not None) == (one.state == State.AGENT)

    def _hold_deliveries(
        self, session: Session, conversations: dict[str, Conversation],
        messages: dict[str, Message],
    ) -> None:  # fmt: skip
        for row in session.exec(select(Delivery)):
            message = messages[row.message_id]
            assert row.conversation_id == message.conversation_id
            assert row.ord == message.seq * 100 + row.part
            if row.epoch is not None and row.state in ("pending", "leased"):
                home = conversations[row.conversation_id]
                assert (home.state, home.epoch) == (State.BOT, row.epoch), "people win"

    def hold_in_the_end(self) -> None:
        answered = {
            line for question in self.world.answerer.asked for line in question.text.split("\n")
        }
        assert set(self.written) <= answered | self.seen_by_people, "nobody is forgotten"


async def live_through(database: Database, steps: Sequence[tuple[str, str, str]]) -> None:
    life = Life(database)
    await life.begin()
    for step in steps:
        await life.take(*step)
        await life.world.store.read(life.hold)
    await life.world.worker.settle()
    await life.world.store.read(life.hold)
    life.hold_in_the_end()


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=4, max_size=24))
def test_whatever_is_joined_and_parted_nothing_is_lost_or_doubled(
    empty_sqlite: Path,
    tmp_path_factory: pytest.TempPathFactory,
    steps: Sequence[tuple[str, str, str]],
) -> None:
    """Numbers have no gaps, every line is once and with its person, nobody who waits is lost."""
    path = tmp_path_factory.mktemp("history") / "gateway.sqlite"
    patient = DatabaseLimits(commit_wait_s=60)  # what is slow here is the machine
    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, path)}", limits=patient)
    try:
        asyncio.run(live_through(database, steps))
    finally:
        database.close()
