"""`tandem ask` and `tandem chat`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.access import open_library, with_library
from commands.deployment import Deployment
from commands.screen import hint, print_json, say
from rag.library import Library
from rag.types import Answer, Citation, Question, Turn

_HISTORY_MAX = 20
_DECLINED = {
    "en": "That is not in the documents. (Without a server nobody can take over here.)",
    "zh": "文档中没有这方面的内容。（未运行服务器，无法转人工。）",
}
_SUGGESTED = {"en": "Not sure. Did you mean:", "zh": "不太确定。您是不是想问："}


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What `ask --json` prints."""

    text: str
    action: str
    p: float
    reasons: Sequence[str]
    citations: Sequence[Citation]
    language: str
    timings: dict[str, float]


def ask(file: Path | None, text: str, *, json: bool) -> None:
    """Print the answer to one question."""

    async def work(library: Library) -> Answer:
        return await library.librarian.answer(Question(text=text))

    answer = with_library(Deployment.read(file), work)
    if json:
        print_json(printed(answer))
        return
    _print(answer)
    decision = answer.decision
    why = ", ".join(decision.reasons)
    hint(f"{decision.action}, p {decision.p:.2f} (answers from {decision.t_answer:.2f}): {why}")
    hint(f"tandem explain {answer.record_id} says more.")


def chat(file: Path | None) -> None:
    """A conversation until an empty line: with the running server's bot, else with the librarian
    alone."""
    deployment = Deployment.read(file)
    if deployment.folders.is_locked("gateway"):
        from commands.visitor import converse

        asyncio.run(converse(deployment))
    else:
        asyncio.run(_talk(deployment))


def printed(answer: Answer) -> Printed:
    """`answer` in the published form."""
    return Printed(
        text=answer.text,
        action=answer.decision.action,
        p=answer.decision.p,
        reasons=[str(reason) for reason in answer.decision.reasons],
        citations=answer.citations,
        language=answer.language,
        timings=dict(answer.timings_ms),
    )


async def read_line() -> str:
    """A line of the terminal; empty at its end."""
    try:
        return (await asyncio.to_thread(input, "> ")).strip()
    except EOFError:
        return ""


async def _talk(deployment: Deployment) -> None:
    history: list[Turn] = []
    async with open_library(deployment) as library:
        hint("Ask away; an empty line ends it.")
        while text := await read_line():
            question = Question(text=text, history=tuple(history[-_HISTORY_MAX:]))
            answer = await library.librarian.answer(question)
            _print(answer)
            history += [Turn("customer", text), Turn("bot", answer.text)]


def _print(answer: Answer) -> None:
    if answer.text:
        say(answer.text)
    elif answer.suggestions:
        say("\n".join([_SUGGESTED[answer.language], *(f"  - {s}" for s in answer.suggestions)]))
    else:
        say(_DECLINED[answer.language])
    print_citations(answer.citations)


def print_citations(citations: Sequence[Citation]) -> None:
    """Each source with what it says, word for word."""
    for citation in citations:
        say(f"  [{citation.n}] {citation.title} ({citation.url or citation.source})")
        say(f"      “{citation.quote}”")
