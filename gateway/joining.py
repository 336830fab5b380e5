"""Two people's talks become one, and one becomes two again: which line and delivery moves where.

A contact's lines are numbered without gaps per thread. Joining puts the lines of `gone` behind
those of `kept`; what nobody has answered yet stays at the end, so that it is still answered. The
emptied conversations stay as closed shells that name where their lines went. Parting moves what
came in through some accounts, and what was said to them, and closes the gaps on both sides.
"""

from collections.abc import Collection

from sqlalchemy import func, text, update
from sqlmodel import Session, col, select

from gateway.conversations import SYSTEM, Conversations
from gateway.deliveries import PARTS_MAX, reply_address
from gateway.handoff import HandOver, Signal
from gateway.history import newest, unanswered
from gateway.messages import Address
from gateway.models import Conversation, Delivery, Identity, Message, Turn
from gateway.states import State
from gateway.store import lock_conversation, touch, touch_conversation
from storage.ids import new_id

_RANK = {State.CLOSED: 0, State.BOT: 1, State.WAITING: 2, State.AGENT: 3}

# Negative first: while the rows change one by one, no two may have the same number.
_RENUMBER = """
WITH ranked AS (
  SELECT id, :first - 1 + ROW_NUMBER() OVER (ORDER BY
    CASE WHEN seq < :before OR seq >= :theirs THEN 1 ELSE 0 END, seq) AS place FROM message
  WHERE contact_id = :contact AND thread_key = :thread AND seq >= :first)
UPDATE message SET seq = -ranked.place FROM ranked WHERE ranked.id = message.id
"""
_TURN_ROUND = """
UPDATE message SET seq = -seq WHERE contact_id = :contact AND thread_key = :thread AND seq < 0
"""
_FOLLOW = f"""
UPDATE delivery SET conversation_id = m.conversation_id, ord = m.seq * {PARTS_MAX} + delivery.part
FROM message m WHERE m.id = delivery.message_id AND m.contact_id = :contact
  AND m.thread_key = :thread AND m.seq >= :first
"""  # noqa: S608 — a number of ours


class Joining:
    """Moves talks between contacts, in the caller's transaction."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    # One of two

    def join(self, session: Session, kept_id: str, gone_id: str) -> bool:
        """Give `kept` all talks of `gone`. Whether lines of `kept` have other numbers now."""
        renumbered = False
        for key in _threads(session, gone_id):
            kept, gone = newest(session, kept_id, key), newest(session, gone_id, key)
            if gone is None:
                continue
            if kept is None:
                self._hand_on(session, gone_id, kept_id, key)
            else:
                renumbered |= self._merge(session, kept, gone)
        return renumbered

    def _hand_on(self, session: Session, from_id: str, to_id: str, key: str) -> None:
        """The other person has nothing in this thread: the conversations change hands whole."""
        for conversation in _locked_all(session, from_id, key):
            touch_conversation(session, conversation)
            conversation.contact_id = to_id
            session.add(conversation)
            session.flush()
            _give_lines(session, conversation, to_id)
            self._conversations.inbox.joined(session, conversation, conversation)
            touch_conversation(session, conversation)

    def _merge(self, session: Session, kept: Conversation, gone: Conversation) -> bool:
        before = kept.next_seq
        mine = _first_unanswered(session, kept) or before
        theirs = before - 1 + (_first_unanswered(session, gone) or gone.next_seq)
        everything = _locked_all(session, gone.contact_id, gone.thread_key)
        self._answer_where_they_wrote_last(session, kept, gone)
        self._take_over(session, kept, gone)
        for shell in everything:
            _move_lines(session, shell, kept, by=before - 1)
            self._empty(session, shell, kept)
        renumbered = mine < before and theirs > before
        if renumbered:
            _renumber(session, kept, first=mine, tails=(before, theirs))
        _count(session, kept)
        _follow(session, kept, first=min(mine, before))
        for shell in everything:
            self._conversations.inbox.joined(session, shell, kept)
        self.settle(session, kept)
        return renumbered

    def _answer_where_they_wrote_last(
        self, session: Session, kept: Conversation, gone: Conversation
    ) -> None:
        if _last_words(session, gone) > _last_words(session, kept) and gone.reply_identity:
            place = reply_address(gone)
            self._conversations.reply_to(session, kept, place, gone.reply_identity)

    def _take_over(self, session: Session, kept: Conversation, gone: Conversation) -> None:
        """Whoever is further on the way to a person wins: nobody who waits is lost."""
        if _RANK[State(gone.state)] > _RANK[State(kept.state)]:
            kept.state, kept.owner = gone.state, gone.owner
            kept.epoch = max(kept.epoch, gone.epoch) + 1
            kept.closed_at = None
        kept.updated_at = self._conversations.clock()
        session.add(kept)

    def _empty(self, session: Session, shell: Conversation, kept: Conversation) -> None:
        touch_conversation(session, shell)
        _cancel_turns(session, shell)
        shell.state, shell.owner = State.CLOSED, None
        shell.epoch += 1
        shell.next_seq, shell.customer_seq = 1, 0
        shell.closed_at = shell.closed_at or self._conversations.clock()
        shell.joined_into = kept.id
        session.add(shell)
        session.flush()

    # Two of one

    def part(
        self, session: Session, whole_id: str, part_id: str, accounts: Collection[str]
    ) -> None:
        """Give `part` what came in through `accounts`, and what was said to them. The accounts are
        its own by now."""
        inbox = self._conversations.inbox
        for shell in _shells(session, part_id):
            inbox.joined(session, shell, shell)  # what ended there is their history again
        for key in _threads(session, whole_id):
            lines = _lines(session, whole_id, key)
            theirs = [one for one, identity_id in lines if identity_id in accounts]
            if theirs and len(theirs) == len(lines):
                self._hand_on(session, whole_id, part_id, key)
            elif theirs:
                self._split(session, _newest(session, whole_id, key), part_id, theirs)

    def _split(
        self, session: Session, whole: Conversation, part_id: str, theirs: list[str]
    ) -> None:
        part = self._part_of(session, whole, part_id)
        for start in range(0, len(theirs), 500):  # so many ids fit into one statement
            session.connection().execute(
                update(Message)
                .where(col(Message.id).in_(theirs[start : start + 500]))
                .values(conversation_id=part.id, contact_id=part.contact_id)
            )
        part_owns = not _is_of(session, whole.reply_identity, whole.contact_id)
        for one in (part, whole):
            _renumber(session, one, first=1)
            _count(session, one)
        was = State(whole.state)
        if part_owns:
            self._give_owner(session, whole, part)
        for one in (part, whole):
            self._reply_within(session, one)
            _follow(session, one, first=1)
            self.settle(session, one)
            touch_conversation(session, one)
        if was in (State.WAITING, State.AGENT):
            self._lose_nobody(session, whole if part_owns else part)

    def _part_of(self, session: Session, whole: Conversation, part_id: str) -> Conversation:
        """Where the parted lines go: the shell that they came from, else a new conversation."""
        same = [one for one in _shells(session, part_id) if one.thread_key == whole.thread_key]
        now = self._conversations.clock()
        part = same[-1] if same else Conversation(
            id=new_id(), contact_id=part_id, thread_key=whole.thread_key, language=whole.language,
            reply_channel=whole.reply_channel, reply_account=whole.reply_account,
            reply_chat=whole.reply_chat, opened_at=now, updated_at=now,
        )  # fmt: skip
        part.joined_into = None
        part.state, part.owner = whole.state, None
        if whole.state != State.CLOSED:
            part.state, part.closed_at = State.BOT.value, None
        else:
            part.closed_at = whole.closed_at
        part.epoch += 1
        part.updated_at = now
        session.add(part)
        session.flush()
        return part

    def _give_owner(self, session: Session, whole: Conversation, part: Conversation) -> None:
        """The person goes along with the place where the customer wrote last."""
        part.state, part.owner = whole.state, whole.owner
        part.epoch = max(part.epoch, whole.epoch) + 1
        if whole.state != State.CLOSED:
            whole.state = State.BOT.value
        whole.owner = None
        whole.epoch += 1
        session.add_all((part, whole))
        session.flush()
        self._conversations.inbox.parted(session, whole, part)

    def _reply_within(self, session: Session, conversation: Conversation) -> None:
        """Let replies go to an account of this very person: to where something last was."""
        own = conversation.reply_identity
        if own is not None and _is_of(session, own, conversation.contact_id):
            return
        found = session.exec(
            select(Delivery, Identity)
            .join(Message, col(Message.id) == col(Delivery.message_id))
            .join(Identity, col(Identity.id) == col(Message.identity_id))
            .where(
                Message.contact_id == conversation.contact_id,
                Message.thread_key == conversation.thread_key,
                Delivery.surface == Identity.channel,
            )
            .order_by(col(Message.seq).desc(), col(Delivery.id).desc())
            .limit(1)
        ).first()
        if found is not None:
            place, identity = found
            address = Address(
                channel=place.surface, account=place.account, chat=place.chat, thread=place.thread
            )
            self._conversations.reply_to(session, conversation, address, identity.id)

    def _lose_nobody(self, session: Session, left: Conversation) -> None:
        """The side that the person did not go with: who still waits there, waits on."""
        if left.state == State.BOT and unanswered(session, left):
            why = HandOver((Signal("agent", "parted"),))
            self._conversations.hand_over(session, left, why, SYSTEM)

    # After both

    def settle(self, session: Session, conversation: Conversation) -> None:
        """The bot starts over with what is to be answered now; its unsent texts go on only while
        the talk is its own."""
        _cancel_turns(session, conversation)
        is_bots = conversation.state == State.BOT
        kept = {"epoch": conversation.epoch}
        dropped = {"state": "cancelled", "reason": "somebody else has the conversation"}
        session.connection().execute(
            update(Delivery)
            .where(
                col(Delivery.conversation_id) == conversation.id,
                col(Delivery.epoch).is_not(None),
                col(Delivery.state).in_(("pending", "leased")),
            )
            .values(**(kept if is_bots else dropped))
        )
        touch(session, "deliveries")
        touch_conversation(session, conversation)
        if is_bots and unanswered(session, conversation):
            self._conversations.schedule_turn(session, conversation)


def _newest(session: Session, contact_id: str, key: str) -> Conversation:
    found = newest(session, contact_id, key)
    if found is None:
        raise LookupError("a thread with lines has no conversation")
    return found


def _threads(session: Session, contact_id: str) -> list[str]:
    return sorted(
        session.exec(
            select(Conversation.thread_key)
            .where(Conversation.contact_id == contact_id, col(Conversation.joined_into).is_(None))
            .distinct()
        )
    )


def _locked_all(session: Session, contact_id: str, key: str) -> list[Conversation]:
    """All conversations of a thread but shells, oldest first, locked."""
    ids = session.exec(
        select(Conversation.id)
        .where(
            Conversation.contact_id == contact_id, Conversation.thread_key == key,
            col(Conversation.joined_into).is_(None),
        )
        .order_by(col(Conversation.opened_at), col(Conversation.id))
    ).all()  # fmt: skip
    return [one for one in (lock_conversation(session, each) for each in ids) if one]


def _shells(session: Session, contact_id: str) -> list[Conversation]:
    """The conversations that a contact had before it was joined to another, oldest first."""
    return list(
        session.exec(
            select(Conversation)
            .where(
                Conversation.contact_id == contact_id, col(Conversation.joined_into).is_not(None)
            )
            .order_by(col(Conversation.opened_at), col(Conversation.id))
        )
    )


def _lines(session: Session, contact_id: str, key: str) -> list[tuple[str, str | None]]:
    return list(
        session.exec(
            select(Message.id, Message.identity_id).where(
                Message.contact_id == contact_id, Message.thread_key == key
            )
        )
    )


def _first_unanswered(session: Session, conversation: Conversation) -> int | None:
    """The seq of the first words that the bot still has to answer."""
    if conversation.state != State.BOT:
        return None
    waiting = unanswered(session, conversation)
    return waiting[0].seq if waiting else None


def _last_words(session: Session, conversation: Conversation) -> str:
    """The id of what the customer wrote last; ids sort by time."""
    return session.exec(
        select(func.coalesce(func.max(Message.id), "")).where(
            Message.conversation_id == conversation.id, Message.author == "customer"
        )
    ).one()


def _is_of(session: Session, identity_id: str | None, contact_id: str) -> bool:
    found = session.get(Identity, identity_id, populate_existing=True) if identity_id else None
    return found is not None and found.contact_id == contact_id


def _give_lines(session: Session, conversation: Conversation, contact_id: str) -> None:
    session.connection().execute(
        update(Message)
        .where(col(Message.conversation_id) == conversation.id)
        .values(contact_id=contact_id)
    )


def _move_lines(session: Session, shell: Conversation, kept: Conversation, *, by: int) -> None:
    session.connection().execute(
        update(Message)
        .where(col(Message.conversation_id) == shell.id)
        .values(conversation_id=kept.id, contact_id=kept.contact_id, seq=col(Message.seq) + by)
    )


def _renumber(
    session: Session, conversation: Conversation, *, first: int, tails: tuple[int, int] = (0, 0)
) -> None:
    """Number the lines of a person's thread from `first` on anew, without gaps. `tails`: those
    before the one number and those from the other one on come last."""
    place = {"contact": conversation.contact_id, "thread": conversation.thread_key}
    before, theirs = tails
    connection = session.connection()
    values = {**place, "first": first, "before": before, "theirs": theirs}
    connection.execute(text(_RENUMBER), values)
    connection.execute(text(_TURN_ROUND), place)


def _follow(session: Session, conversation: Conversation, *, first: int) -> None:
    """Let deliveries stand where their lines stand."""
    place = {"contact": conversation.contact_id, "thread": conversation.thread_key}
    session.connection().execute(text(_FOLLOW), {**place, "first": first})


def _count(session: Session, conversation: Conversation) -> None:
    """Set the counters of a person's conversations in a thread by the lines that they have now."""
    last = 0
    for one in _locked_all(session, conversation.contact_id, conversation.thread_key):
        newest_seq, customer = session.exec(
            select(
                func.max(Message.seq),
                func.max(Message.seq).filter(col(Message.author) == "customer"),
            ).where(Message.conversation_id == one.id)
        ).one()
        last = newest_seq or last
        one.next_seq, one.customer_seq = last + 1, customer or 0
        session.add(one)
    session.flush()


def _cancel_turns(session: Session, conversation: Conversation) -> None:
    session.connection().execute(
        update(Turn)
        .where(
            col(Turn.conversation_id) == conversation.id,
            col(Turn.state).in_(("scheduled", "running")),
        )
        .values(state="cancelled")
    )
