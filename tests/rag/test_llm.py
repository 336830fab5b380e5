"""The scripted language model that tests speak through."""

import pytest

from rag.errors import ModelUnavailable
from rag.llm import Scripted
from rag.ports import LanguageModel, ModelLimits, ModelMessage


async def said(model: LanguageModel, prompt: str) -> list[str]:
    messages = [ModelMessage("user", prompt)]
    return [piece async for piece in model.complete(messages, ModelLimits())]


async def test_it_says_its_lines_in_pieces_and_remembers_what_it_was_asked() -> None:
    """One line per completion, streamed by words, as a real model would."""
    model = Scripted(["It takes 14 days. [1]", "Yes."])
    first, second = await said(model, "How long?"), await said(model, "Really?")

    assert "".join(first) == "It takes 14 days. [1]"
    assert len(first) == 5
    assert second == ["Yes."]
    assert [prompt[0].content for prompt in model.asked] == ["How long?", "Really?"]


async def test_at_the_end_of_its_script_it_is_unavailable() -> None:
    """A test that asks too often finds out."""
    with pytest.raises(ModelUnavailable):
        await said(Scripted([]), "Anyone?")
