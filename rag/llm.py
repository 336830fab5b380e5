"""Language models behind `rag.ports.LanguageModel`. Here: the twin that tests speak through."""

from collections.abc import AsyncIterator, Iterable, Sequence

from rag.errors import ModelUnavailable
from rag.ports import ModelLimits, ModelMessage


class Scripted:
    """Says the lines it was given, one per completion, word by word; then it is unavailable.

    `asked` keeps every prompt, so that a test can look at what a model would have been shown.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.asked: list[tuple[ModelMessage, ...]] = []

    async def complete(
        self, messages: Sequence[ModelMessage], limits: ModelLimits
    ) -> AsyncIterator[str]:
        self.asked.append(tuple(messages))
        line = next(self._lines, None)
        if line is None:
            raise ModelUnavailable("the script is over")
        for at, word in enumerate(line.split(" ")):
            yield word if at == 0 else " " + word
