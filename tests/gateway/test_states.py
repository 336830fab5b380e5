"""The table of moves, against the rules it must keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import IllegalMove
from gateway.states import TABLE, Move, State, after, changes_owner

PAIRS = [(state, move) for state in State for move in Move]


@pytest.mark.parametrize(("state", "move"), PAIRS)
def test_every_pair_is_either_in_the_table_or_refused(state: State, move: Move) -> None:
    """Nothing falls between: a pair leads to its state or raises."""
    if (state, move) in TABLE:
        assert after(state, move) is TABLE[state, move]
    else:
        with pytest.raises(IllegalMove, match=f"{state} cannot {move}"):
            after(state, move)


@given(st.lists(st.sampled_from(Move), max_size=30))
def test_no_history_leaves_the_table(moves: list[Move]) -> None:
    """Whatever is tried, the state is one of the four and a claim always makes it an agent's."""
    state = State.BOT
    for move in moves:
        try:
            state = after(state, move)
        except IllegalMove:
            continue

        assert state in State
        assert move is not Move.CLAIM or state is State.AGENT
        assert move is not Move.HAND_BACK or state is State.BOT
        assert move is not Move.RESOLVE or state is State.CLOSED


def test_a_customer_writing_never_takes_a_conversation_from_an_agent() -> None:
    """Only agents, and the end of their lease, give a conversation away."""
    assert after(State.AGENT, Move.CUSTOMER_WRITES) is State.AGENT
    assert after(State.AGENT, Move.ASK) is State.AGENT


def test_a_transfer_between_agents_changes_the_owner() -> None:
    """The same state with another agent is another owner: the epoch must rise."""
    assert changes_owner((State.AGENT, "ana"), (State.AGENT, "ben"))
    assert not changes_owner((State.AGENT, "ana"), (State.AGENT, "ana"))
