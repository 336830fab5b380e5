"""The bot's turn: three steps, none of which holds a transaction while it thinks.

`start` (T3) takes a picture of the conversation; thinking asks the librarian; `finish` (T4) says
it, or refuses what was made for an older owner, before a newer message, or from withdrawn
knowledge. Whatever breaks, a person is called: silence is not an outcome.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import bindparam
from sqlalchemy import select as select_columns
from sqlmodel import Session, col

from gateway import conversations as talk
from gateway.conversations import BOT, SYSTEM, Conversations, Draft
from gateway.handoff import HandOffRules, HandOver, Reply, Signal, Told, after_answer, before_answer
from gateway.history import Spoken, asked_and_before
from gateway.messages import Action, Address, Button
from gateway.models import Conversation, KnowledgeFloor, Turn
from gateway.ports import Answerer
from gateway.showing import Screens, Showing, read_aloud, until_taken
from gateway.states import State
from gateway.store import Store, change, insert_once, lock_conversation, touch
from rag.turns import TurnKind, classify_turn
from rag.types import Answer, Language, Question, Reason
from rag.types import Turn as Said
from storage.database import DatabaseError
from storage.failpoints import reach, reach_async
from storage.ids import new_id
from storage.prepared import Prepared

log = structlog.get_logger()

TYPING_EVERY_S = 2.0

_COURTESIES: Mapping[TurnKind, str] = {
    "greeting": "courtesy.hello",
    "thanks": "courtesy.thanks",
    "small_talk": "courtesy.other",
    "question": "courtesy.other",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLimits:
    """Times and counts of a bot's turn."""

    answer_wait_s: float = 45.0
    alike_wait_s: float = 3.0
    lease_s: float = 30.0
    heartbeat_s: float = 10.0
    restarts_max: int = 2  # by newer messages; then what is there is said, and a new turn follows
    attempts_max: int = 3  # crashes and failures of one turn before a person is called
    history_max: int = 20
    text_to_bot_max: int = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a turn was started with."""

    turn_id: str
    fence: int
    epoch: int
    conversation_id: str
    contact_id: str
    address: Address
    upto_seq: int
    restarts: int
    streams: bool  # the customer can watch the answer being written
    question: Question
    earlier: tuple[str, ...]
    declines: int
    offers: int


Begin = Callable[[Session, Conversation], Snapshot | None]
"""Starts a conversation's turn in the caller's transaction; None if it is not to be started."""


class TurnRow(NamedTuple):
    """A turn as it stands in the store, as far as running it needs it."""

    id: str
    conversation_id: str
    state: str
    attempts: int
    restarts: int


class Turns:
    """Lets the bot answer conversations that are the bot's."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        answerer: Answerer,
        *,
        rules: HandOffRules,
        limits: TurnLimits,
        screens: Screens,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._answerer = answerer
        self._aloud = screens.writer(answerer)
        self._rules = rules
        self._limits = limits
        self._typing = screens.typing
        self.clock = conversations.clock
        self._phrases = conversations.phrases

    async def handle(self, turn_id: str) -> None:
        """Let the bot answer one open turn. Whatever happens, the customer hears something."""
        snapshot = await self._store.write(lambda session: self._start(session, turn_id))
        if snapshot is not None:
            await self.go_on(snapshot)

    async def go_on(self, snapshot: Snapshot) -> None:
        """Think and speak, once the turn's start is committed."""
        await reach_async("B1")
        types = partial(self._typing.show, snapshot.address)
        showing = Showing(self._store, snapshot.contact_id, types)
        if snapshot.streams and self._aloud and snapshot.fence > 1:
            showing.text(self._phrases.say("answer.again", snapshot.question.language or "en"))
        showing.again()
        meanwhile = asyncio.create_task(self._keep_alive(snapshot, showing))
        try:
            reply, answer = await self._think(snapshot, showing)
        finally:
            meanwhile.cancel()
        await reach_async("B5")
        again = await self._store.write(
            lambda session: self._finish(session, snapshot, reply, answer)
        )
        if again:
            showing.stop()
            self._store.feed.publish(("turns",))

    def _start(self, session: Session, turn_id: str) -> Snapshot | None:
        """T3: take the turn and a picture of the conversation, or None if it is not to be run."""
        turn = _locked_turn().first(session, {"id": turn_id})
        if turn is None or turn.state != "scheduled":
            return None
        conversation = lock_conversation(session, turn.conversation_id)
        picture = self._picture(session, conversation, turn) if conversation else None
        if conversation is None or conversation.state != State.BOT or picture is None:
            change(session, Turn, turn_id, state="done")
            return None
        if turn.attempts >= self._limits.attempts_max:
            self._give_up(session, conversation, turn)
            return None
        change(session, Turn, turn_id, **self._taken(picture))
        return picture

    def begin(self, session: Session, conversation: Conversation) -> Snapshot | None:
        """T3 inside T2: a turn that starts with the message it answers. None if one is open
        already or there is nothing to answer."""
        turn = TurnRow(new_id(), conversation.id, "scheduled", 0, 0)
        picture = self._picture(session, conversation, turn)
        if picture is None:
            return None
        now = self.clock()
        begun = insert_once(session, Turn, {
            "id": turn.id, "conversation_id": conversation.id, "restarts": 0, "due": now,
            "created_at": now, **self._taken(picture),
        })  # fmt: skip
        return picture if begun else None

    def _taken(self, picture: Snapshot) -> Mapping[str, Any]:
        """What a turn's row says from its start on."""
        return {
            "state": "running", "attempts": picture.fence, "epoch": picture.epoch,
            "upto_seq": picture.upto_seq,
            "lease": self.clock() + timedelta(seconds=self._limits.lease_s),
        }  # fmt: skip

    def _give_up(self, session: Session, conversation: Conversation, turn: TurnRow) -> None:
        change(session, Turn, turn.id, state="failed")
        why = HandOver((Signal("failed", f"{turn.attempts} attempts"),))
        self._conversations.hand_over(session, conversation, why, SYSTEM)

    def _picture(
        self, session: Session, conversation: Conversation, turn: TurnRow
    ) -> Snapshot | None:
        """What the bot is shown, or None if the customer has no words without a reply."""
        asked, lines = asked_and_before(session, conversation, limit=self._limits.history_max)
        if not asked:
            return None
        text = "\n".join(line.text for line in asked)[-self._limits.text_to_bot_max :]
        kinds = [line.reply_kind for line in reversed(lines) if line.author == "bot"]
        return Snapshot(
            turn_id=turn.id, fence=turn.attempts + 1, restarts=turn.restarts,
            epoch=conversation.epoch, upto_seq=conversation.customer_seq,
            conversation_id=conversation.id, contact_id=conversation.contact_id,
            address=talk.reply_address(conversation),
            streams=self._conversations.capabilities[conversation.reply_channel].streaming,
            question=Question(
                text=text, language=talk.language_of(conversation), history=_history(lines),
                asker=conversation.contact_id,
            ),
            earlier=tuple(line.text for line in lines if line.author == "customer"),
            declines=_in_a_row(kinds, "decline"), offers=_in_a_row(kinds, "offer"),
        )  # fmt: skip

    async def _keep_alive(self, snapshot: Snapshot, showing: Showing) -> None:
        """While the bot thinks: keep the lease, and show what there is again and again."""

        def extend(session: Session) -> None:
            turn = session.get(Turn, snapshot.turn_id)
            if turn is not None and (turn.state, turn.attempts) == ("running", snapshot.fence):
                turn.lease = self.clock() + timedelta(seconds=self._limits.lease_s)
                session.add(turn)

        extended = time.monotonic()
        while True:
            await asyncio.sleep(min(TYPING_EVERY_S, self._limits.heartbeat_s))
            showing.again()
            if time.monotonic() - extended >= self._limits.heartbeat_s:
                extended = time.monotonic()
                await self._unless_down(extend)

    async def _unless_down(self, work: Callable[[Session], None]) -> None:
        try:
            await self._store.write(work)
        except DatabaseError as error:  # if it stays so, the lease ends and another takes the turn
            log.warning("lease_not_extended", error=str(error))

    async def _think(self, snapshot: Snapshot, showing: Showing) -> tuple[Reply, Answer | None]:
        """What to say, with no transaction open. A broken bot calls a person."""
        try:
            if why := await self._repeated(snapshot):
                return Reply("hand_over", why), None
            async with asyncio.timeout(self._limits.answer_wait_s):
                answer = await self._answer(snapshot, showing)
        except Exception as error:
            log.warning("answer_failed", turn=snapshot.turn_id, error=type(error).__name__)
            return Reply("hand_over", HandOver((Signal("failed", type(error).__name__),))), None
        reply = after_answer(
            answer, self._rules, declines=snapshot.declines, offers=snapshot.offers
        )
        return reply, answer

    async def _answer(self, snapshot: Snapshot, showing: Showing) -> Answer:
        if self._aloud is None or not snapshot.streams:
            return await self._answerer.answer(snapshot.question)
        taken = partial(until_taken, self._store, snapshot.conversation_id, snapshot.epoch)
        return await read_aloud(self._aloud, snapshot.question, showing, taken)

    async def _repeated(self, snapshot: Snapshot) -> HandOver | None:
        if len(snapshot.earlier) + 1 < self._rules.repeats_max:
            return None
        try:
            async with asyncio.timeout(self._limits.alike_wait_s):
                alike = await self._answerer.alike(snapshot.question.text, snapshot.earlier)
        except Exception as error:  # a courtesy check: the answer itself may still work
            log.info("alike_failed", error=type(error).__name__)
            return None
        return before_answer(Told(text="", alike=alike), (), self._rules)

    def _finish(
        self, session: Session, snapshot: Snapshot, reply: Reply, answer: Answer | None
    ) -> bool:
        """T4: say it, or discard it. Whether the turn is to be run (again)."""
        turn = _locked_turn().first(session, {"id": snapshot.turn_id})
        conversation = lock_conversation(session, snapshot.conversation_id)
        if turn is None or conversation is None:
            return False
        if (turn.state, turn.attempts) != ("running", snapshot.fence):
            return False  # somebody took over, or another worker has the turn by now
        if conversation.epoch != snapshot.epoch:
            return False
        reach("B6")
        if self._is_stale(session, conversation, snapshot, answer):
            self._restart(session, turn)
            return True
        newer = conversation.customer_seq > snapshot.upto_seq
        record_id = answer.record_id if answer else None
        change(session, Turn, turn.id, state="done", record_id=record_id)
        self._act(session, conversation, reply, answer, snapshot.question.text)
        if newer and conversation.state == State.BOT:
            self._conversations.schedule_turn(session, conversation)
        reach("B7")
        return newer

    def _is_stale(
        self, session: Session, conversation: Conversation, snapshot: Snapshot,
        answer: Answer | None,
    ) -> bool:  # fmt: skip
        newer = conversation.customer_seq > snapshot.upto_seq
        withdrawn = answer is not None and answer.knowledge_version < floor(session)
        return withdrawn or (newer and snapshot.restarts < self._limits.restarts_max)

    def _restart(self, session: Session, turn: TurnRow) -> None:
        change(
            session, Turn, turn.id, state="scheduled", lease=None, restarts=turn.restarts + 1,
            attempts=turn.attempts - 1,  # it did not fail
        )  # fmt: skip
        touch(session, "turns")

    def _act(
        self, session: Session, conversation: Conversation, reply: Reply, answer: Answer | None,
        asked: str,
    ) -> None:  # fmt: skip
        if reply.kind == "hand_over" and reply.hand_over is not None:
            self._conversations.hand_over(session, conversation, reply.hand_over, BOT)
        elif answer is not None:
            draft = self._draft(reply, answer, talk.language_of(conversation), asked)
            self._conversations.say(session, conversation, draft)

    def _draft(self, reply: Reply, answer: Answer, language: Language, asked: str) -> Draft:
        text, buttons = answer.text, self._buttons(("helpful", "not_helpful", "human"), language)
        citations = answer.citations
        if reply.kind == "offer":
            text = self._phrases.say("answer.suggest", language)
            buttons = (*_choices(answer.suggestions), *self._buttons(("human",), language))
        elif reply.kind == "decline":
            text = self._phrases.say(_decline_key(answer), language)
            buttons = self._buttons(("human",), language)
        elif reply.kind == "courtesy":
            text = self._phrases.say(_COURTESIES[classify_turn(asked)], language)
            buttons = ()
        return Draft(
            text=text, author=BOT, buttons=buttons, reply_kind=reply.kind,
            citations=citations if reply.kind == "say" else (), record_id=answer.record_id or None,
        )  # fmt: skip

    def _buttons(self, actions: tuple[Action, ...], language: Language) -> tuple[Button, ...]:
        return tuple(self._phrases.button(action, language) for action in actions)


@cache
def _locked_turn() -> Prepared[TurnRow]:
    statement = (
        select_columns(
            col(Turn.id), col(Turn.conversation_id), col(Turn.state), col(Turn.attempts),
            col(Turn.restarts),
        )
        .where(col(Turn.id) == bindparam("id"))
        .with_for_update()
    )  # fmt: skip
    return Prepared(statement, TurnRow)


def floor(session: Session) -> int:
    """Answers read from an older version of the knowledge base must not be sent."""
    return _floor().first(session, {}) or 0


@cache
def _floor() -> Prepared[int]:
    return Prepared(select_columns(col(KnowledgeFloor.version)), int)


def raise_floor(session: Session, version: int) -> None:
    """Raised before a withdrawal commits in the librarian's store (P27). It never sinks."""
    row = session.get(KnowledgeFloor, 1, with_for_update=True) or KnowledgeFloor(id=1)
    row.version = max(row.version, version)
    session.add(row)


def _history(lines: Sequence[Spoken]) -> tuple[Said, ...]:
    return tuple(Said(line.author, line.text) for line in lines)  # pyright: ignore[reportArgumentType]


def _in_a_row(kinds: Sequence[str | None], kind: str) -> int:
    count = 0
    for one in kinds:
        if one not in ("decline", "offer"):
            break
        count += one == kind
    return count


def _choices(suggestions: tuple[str, ...]) -> tuple[Button, ...]:
    actions: tuple[Action, ...] = ("choose-1", "choose-2", "choose-3")
    return tuple(Button(label, action) for label, action in zip(suggestions, actions, strict=False))


def _decline_key(answer: Answer) -> str:
    reasons = answer.decision.reasons
    if Reason.OTHER_LANGUAGE in reasons:
        return "answer.decline_other_language"
    if Reason.FAR_OUT_OF_SCOPE in reasons:
        return "answer.decline_far"
    return "answer.decline"
