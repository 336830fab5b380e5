"""Who may speak: the whole table of moves. Pure; everything not in it raises IllegalMove."""

from enum import StrEnum

from gateway.errors import IllegalMove


class State(StrEnum):
    BOT = "bot"
    WAITING = "waiting"
    AGENT = "agent"
    CLOSED = "closed"


class Move(StrEnum):
    """What can happen to a conversation's ownership."""

    ASK = "ask"  # the customer asks for a person, or a signal does
    CLAIM = "claim"  # an agent takes it, or writes to the customer
    RELEASE = "release"  # the agent puts it back, or the lease ends
    HAND_BACK = "hand_back"
    RESOLVE = "resolve"
    CUSTOMER_WRITES = "customer_writes"


TABLE: dict[tuple[State, Move], State] = {
    (State.BOT, Move.ASK): State.WAITING,
    (State.BOT, Move.CLAIM): State.AGENT,
    (State.BOT, Move.RESOLVE): State.CLOSED,
    (State.BOT, Move.CUSTOMER_WRITES): State.BOT,
    (State.WAITING, Move.ASK): State.WAITING,
    (State.WAITING, Move.CLAIM): State.AGENT,
    (State.WAITING, Move.HAND_BACK): State.BOT,
    (State.WAITING, Move.RESOLVE): State.CLOSED,
    (State.WAITING, Move.CUSTOMER_WRITES): State.WAITING,
    (State.AGENT, Move.ASK): State.AGENT,
    (State.AGENT, Move.CLAIM): State.AGENT,
    (State.AGENT, Move.RELEASE): State.WAITING,
    (State.AGENT, Move.HAND_BACK): State.BOT,
    (State.AGENT, Move.RESOLVE): State.CLOSED,
    (State.AGENT, Move.CUSTOMER_WRITES): State.AGENT,
    (State.CLOSED, Move.CLAIM): State.AGENT,
    (State.CLOSED, Move.CUSTOMER_WRITES): State.BOT,
}


def after(state: State, move: Move) -> State:
    """The state that `move` leads to. Raises IllegalMove."""
    try:
        return TABLE[state, move]
    except KeyError:
        raise IllegalMove(f"a conversation that is {state} cannot {move}") from None


def changes_owner(before: tuple[State, str | None], now: tuple[State, str | None]) -> bool:
    """Whether somebody else speaks at (state, owner) `now`: this is what raises the epoch."""
    return before != now
