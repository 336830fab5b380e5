"""What may be spent on language models: tokens a turn, a customer and a day.

The most that a call can cost is taken before the call and what it did not cost is given back
afterwards, so that neither many calls at once nor a crash can spend more than was allowed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from rag import store
from rag.errors import BudgetSpent, ModelUnavailable
from rag.store.tokens import DAYS_KEPT, EVERYBODY
from storage.database import Database, DatabaseError


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimits:
    """In tokens of prompt and answer together. Days are UTC."""

    turn_tokens_max: int = 30_000
    customer_tokens_max: int = 300_000  # a day
    day_tokens_max: int = 10_000_000


class Budget:
    """Keeps the sums in the store; `for_turn` gives a purse to one turn."""

    def __init__(
        self, database: Database, limits: BudgetLimits, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._clock = clock
        self.limits = limits
        self._tidied = ""

    def for_turn(self, asker: str) -> "Purse":
        return Purse(self, asker)

    async def take(self, asker: str, tokens: int) -> str:
        """Take `tokens` from today's budgets; the day. Raises BudgetSpent, ModelUnavailable."""
        now = self._clock()
        today, oldest = now.date().isoformat(), (now - timedelta(DAYS_KEPT)).date().isoformat()
        tidy, self._tidied = self._tidied != today, today

        def work(session: Session) -> None:
            if tidy:
                store.forget_spent(session, today, oldest)
            sums = store.spend(session, today, asker, tokens)
            if sums[EVERYBODY] > self.limits.day_tokens_max:
                raise BudgetSpent("the tokens of this day are spent")
            if asker and sums[asker] > self.limits.customer_tokens_max:
                raise BudgetSpent("the customer's tokens of this day are spent")

        try:
            await self._database.write(work)
        except DatabaseError as error:
            raise ModelUnavailable("its budget cannot be read") from error
        return today

    async def give_back(self, day: str, asker: str, tokens: int) -> None:
        """What a call did not cost. Lost if the store fails: the budget is the smaller for it."""
        if tokens <= 0:
            return
        try:
            await self._database.write(lambda session: store.spend(session, day, asker, -tokens))
        except DatabaseError:
            return


class Purse:
    """The tokens of one turn."""

    def __init__(self, budget: Budget, asker: str) -> None:
        self._budget = budget
        self._asker = asker
        self.spent = 0

    async def take(self, tokens: int) -> str:
        """The most that a call can cost; the day it counts for. Raises BudgetSpent."""
        if self.spent + tokens > self._budget.limits.turn_tokens_max:
            raise BudgetSpent("the tokens of this turn are spent")
        self.spent += tokens
        try:
            return await self._budget.take(self._asker, tokens)
        except ModelUnavailable:
            self.spent -= tokens
            raise

    async def settle(self, day: str, taken: int, cost: int) -> None:
        """The call cost `cost` of what was taken for it, or more where it counts in its own way."""
        self.spent += cost - taken
        await self._budget.give_back(day, self._asker, taken - cost)
