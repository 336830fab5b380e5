"""A language model behind an OpenAI-compatible address: scripted answers, real limits, all faults.

    model = FakeModel()
    model.answer("refund", Reply("Within five days [1]."))
    async with served(model.app) as url:
        … POST {url}/v1/chat/completions with `Authorization: Bearer {KEY}` …

By hand: `python -m tests.fakes.llm`.
"""

from tests.fakes.llm.replies import Reply, busy, failed
from tests.fakes.llm.requests import Asked
from tests.fakes.llm.server import KEY, MODEL, FakeModel

__all__ = ["KEY", "MODEL", "Asked", "FakeModel", "Reply", "busy", "failed"]
