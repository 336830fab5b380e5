"""What can go wrong in rag, by what the caller can do about it.

RagError
├── SourceUnreadable    tell the person who uploaded it: `reason` is written for them
├── SourceUnknown       no source, revision or record has that id
├── NoEarlierVersion    there is no complete version to go back to
├── ModelUnavailable    embedder or language model: answer without it, or call a person
│   ├── ModelSlow       it did not say enough in time
│   ├── ModelBusy       too many calls just now: ours, or all of the service
│   ├── ModelRefused    the key, the name or the request is refused: an operator must act
│   ├── ModelBroken     what it said cannot be used: cut, garbled, empty, filtered, too long
│   └── BudgetSpent     the tokens of this turn, this customer or this day are used up
└── IndexUnavailable    the vector index: keywords go on alone, the index is rebuilt
"""

from rag.types import Words


class RagError(Exception):
    """The root of everything rag raises on purpose."""


class SourceUnreadable(RagError):
    """A document cannot be taken in: empty, too large, of an unknown kind, or broken.

    `reason` is for whoever uploaded it: what is wrong, where, and what to do.
    """

    def __init__(self, english: str, chinese: str = "") -> None:
        super().__init__(english)
        self.reason = Words(english, chinese or english)


class SourceUnknown(RagError):
    """No source, revision or record has that id."""


class NoEarlierVersion(RagError):
    """There is no complete version of the source that could be live again."""


class ModelUnavailable(RagError):
    """A model did not load, or did not answer in time."""


class ModelSlow(ModelUnavailable):
    """A deadline was missed."""


class ModelBusy(ModelUnavailable):
    """Too many calls at once; `wait_s` is how long the service wants to be left alone."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class ModelRefused(ModelUnavailable):
    """The service does not take the key, the model's name or the request."""


class ModelBroken(ModelUnavailable):
    """The model began, and what it said is no whole text."""


class BudgetSpent(ModelUnavailable):
    """A budget of tokens is used up; the model is not asked."""


class IndexUnavailable(RagError):
    """The vector index did not answer, or answered wrongly."""
