"""What a model may cost: tokens a turn, a customer and a day, and never one more."""

import asyncio
import datetime as dt

import pytest

from rag import store
from rag.budget import Budget, BudgetLimits
from rag.errors import BudgetSpent
from storage.database import Database
from tests.fakes.llm import FakeModel, Reply
from tests.rag.bases import NOON
from tests.rag.test_writer import GOOD, QUOTED, answer, asked_model, saying

DAY = "2026-11-01"


@pytest.fixture
def database(either_database: Database) -> Database:
    """Sums are kept alike in both databases."""
    return either_database


async def test_many_calls_at_once_spend_no_more_than_one_after_the_other(
    database: Database,
) -> None:
    """The most that each can cost is taken first: ten fit, the eleventh is refused."""
    budget = Budget(database, BudgetLimits(day_tokens_max=1_000), lambda: NOON)
    purses = [budget.for_turn(f"asker-{n}") for n in range(11)]
    results = await asyncio.gather(*(purse.take(100) for purse in purses), return_exceptions=True)
    spent = await database.read(lambda session: store.spent(session, DAY))

    assert [type(one) for one in results].count(BudgetSpent) == 1
    assert spent == 1_000


async def test_what_was_not_used_is_given_back(database: Database) -> None:
    """To the day, to the customer and to the turn."""
    limits = BudgetLimits(turn_tokens_max=100, customer_tokens_max=100, day_tokens_max=100)
    purse = Budget(database, limits, lambda: NOON).for_turn("ana")
    day = await purse.take(100)
    with pytest.raises(BudgetSpent):
        await purse.take(1)
    await purse.settle(day, 100, 30)
    await purse.take(70)
    with pytest.raises(BudgetSpent):
        await purse.take(1)
    spent = await database.read(lambda session: store.spent(session, DAY, "ana"))

    assert spent == 100


async def test_a_new_day_is_a_new_budget_and_forgets_who_asked(database: Database) -> None:
    """Who asked is forgotten with the day, the sums a month later."""
    now = [NOON]
    budget = Budget(database, BudgetLimits(customer_tokens_max=10), lambda: now[0])
    await budget.for_turn("ana").take(10)
    with pytest.raises(BudgetSpent):
        await budget.for_turn("ana").take(1)
    now[0] = NOON + dt.timedelta(days=1)
    await budget.for_turn("ana").take(10)
    who = await database.read(lambda session: store.spent(session, DAY, "ana"))
    of_all = await database.read(lambda session: store.spent(session, DAY))
    now[0] = NOON + dt.timedelta(days=40)
    await budget.for_turn("ana").take(10)
    later = await database.read(lambda session: store.spent(session, DAY))

    assert (who, of_all, later) == (0, 10, 0)


async def test_who_asks_too_much_is_answered_without_a_model(database: Database) -> None:
    """A customer's tokens of the day are spent; another customer's are not."""
    fake = FakeModel()
    fake.otherwise = Reply(GOOD)
    limits = BudgetLimits(customer_tokens_max=4_000)
    async with asked_model(database, fake, budget=limits) as base:
        texts = [(await answer(base, asker="ana")).text for _ in range(12)]
        other = (await answer(base, asker="ben")).text

    assert texts[0] == GOOD
    assert texts[-1] == QUOTED
    assert other == GOOD


async def test_the_day_and_the_turn_have_an_end(database: Database) -> None:
    """Nothing is asked that could cost more than is left, so no limit is ever passed."""
    fake = FakeModel()
    fake.otherwise = Reply(GOOD)
    async with asked_model(database, fake, budget=BudgetLimits(day_tokens_max=4_000)) as base:
        texts = [(await answer(base)).text for _ in range(12)]
        spent = await database.read(lambda s: store.spent(s, "2026-11-01"))
    asked = len(fake.asked)
    async with asked_model(database, fake, budget=BudgetLimits(turn_tokens_max=100)) as base:
        small = (await answer(base)).text

    assert (texts[0], texts[-1], small) == (GOOD, QUOTED, QUOTED)
    assert 0 < spent <= 4_000
    assert len(fake.asked) == asked


async def test_a_budget_is_charged_what_was_used(database: Database) -> None:
    """What the service counted, not the most that it could have been."""
    fake = saying(Reply(GOOD))
    async with asked_model(database, fake) as base:
        given_answer = await answer(base, asker="ana")
        await base.librarian.close()
        explained = await base.librarian.explain(given_answer.record_id)
        spent = await database.read(lambda s: store.spent(s, "2026-11-01", "ana"))

    [call] = explained.writing.calls
    assert spent == call.prompt_tokens + call.answer_tokens
    assert spent < 1_500
