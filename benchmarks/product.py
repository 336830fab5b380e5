"""Tandem as it is measured: the composition root's own parts, with a bot that answers by rule."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar
from sqlmodel import Session, SQLModel, func, select, text

from app import Gateway, Parts, build, public_app, refuse
from benchmarks.figures import figures_route
from config.sources import load
from gateway.models import InboxEvent, Message
from rag.types import Answer, Citation, Decision, Question, Reason

REPLY = "Within 30 days [1]."

# One load comes from one address: the limits that stop such a client in real life are lifted.
LIFTED = {
    "TANDEM_CHANNELS__WEB__SESSIONS_PER_MINUTE": "1000000",
    "TANDEM_CHANNELS__WEB__MESSAGES_PER_MINUTE": "1000000",
    "TANDEM_CHANNELS__WEB__READS_PER_MINUTE": "1000000",
    "TANDEM_CHANNELS__WEB__SOCKETS_PER_ADDRESS": "1000000",
}


class RuleAnswered:
    """Answers everything at once with the same cited line: what is measured is the gateway."""

    async def answer(self, question: Question) -> Answer:
        return Answer(
            text=REPLY, language="en", verdict="answered",
            citations=(
                Citation(n=1, title="Returns", source="returns.md", url=None, quote="30 days"),
            ),
            decision=Decision(
                action="answer", p=0.9, t_answer=0.7, t_suggest=0.4,
                reasons=(Reason.CONFIDENT,), calibration_id="rule",
            ),
        )  # fmt: skip

    async def alike(self, text: str, others: Sequence[str]) -> list[float]:
        return [0.0 for _ in others]


def hook_app(folder: Path) -> Litestar:
    """The way in alone: what is kept is read by nobody, as while the lanes are behind a burst."""
    gateway = _built(folder, {"TANDEM_CHANNELS__HOOK__MODULE": "benchmarks.hook"})

    @asynccontextmanager
    async def stored(_app: Litestar) -> AsyncGenerator[None]:
        yield
        gateway.store.database.close()

    return Litestar(
        [*gateway.channels["hook"].routes(), _figures(gateway, InboxEvent)],
        lifespan=[stored], logging_config=None, openapi_config=None,
        exception_handlers={Exception: refuse},
    )  # fmt: skip


def chat_app(folder: Path) -> Litestar:
    """The whole gateway: chat, console, lanes, turns, outbox."""
    gateway = _built(folder, LIFTED)
    app = public_app(gateway)
    app.register(_figures(gateway, Message))
    return app


def _built(folder: Path, environ: dict[str, str]) -> Gateway:
    settings = load({"TANDEM_DATA_DIR": str(folder), **environ})
    return build(settings, Parts(answerer=RuleAnswered()))


def _figures(gateway: Gateway, counted: type[SQLModel]):
    def look(session: Session) -> tuple[int, str, int]:
        connection = session.connection()
        return (
            connection.execute(text("PRAGMA synchronous")).scalar_one(),
            connection.execute(text("PRAGMA journal_mode")).scalar_one(),
            session.exec(select(func.count()).select_from(counted)).one(),
        )

    return figures_route(lambda: gateway.store.write(look))
