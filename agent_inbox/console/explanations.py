"""Why the bot said what it said, for the agent who reads the line."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, SkipValidation

from agent_inbox.console.guard import Policy
from agent_inbox.console.parts import ConsoleParts
from agent_inbox.console.problems import Problem
from rag.types import Explanation

Parts = NamedDependency[SkipValidation[ConsoleParts]]

ID_CHARS_MAX = 64


@get("/records/{record_id:str}", policy=Policy.AGENT)
async def explanation(
    record_id: FromPath[str], parts: Parts, replay: FromQuery[bool] = False
) -> Explanation:
    """The record of an answer; with `replay` what today's documents would change in it."""
    if len(record_id) > ID_CHARS_MAX or not record_id.replace("-", "").isalnum():
        raise Problem(404, "not-found")
    return await parts.librarian.explain(record_id, replay=replay)


HANDLERS = (explanation,)
