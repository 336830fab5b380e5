"""The twin of a language model: it says what a test told it to."""

from collections.abc import AsyncGenerator, Iterable, Sequence

from rag.errors import ModelUnavailable
from rag.ports import ModelLimits, ModelMessage, ModelUse
from rag.tokens import estimate_tokens


class Scripted:
    """Says the lines it was given, one per completion, word by word; then it is unavailable.

    `asked` keeps every prompt, so that a test can look at what a model would have been shown.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.asked: list[tuple[ModelMessage, ...]] = []

    async def complete(
        self, messages: Sequence[ModelMessage], limits: ModelLimits
    ) -> AsyncGenerator[str | ModelUse]:
        self.asked.append(tuple(messages))
        line = next(self._lines, None)
        if line is None:
            raise ModelUnavailable("the script is over")
        for at, word in enumerate(line.split(" ")):
            yield word if at == 0 else " " + word
        prompt = sum(estimate_tokens(message.content) for message in messages)
        yield ModelUse(model="scripted", prompt_tokens=prompt, answer_tokens=estimate_tokens(line))
