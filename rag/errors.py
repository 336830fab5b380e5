"""What can go wrong in rag, by what the caller can do about it.

RagError
├── SourceUnreadable    tell the person who uploaded it: `reason` is written for them
├── SourceUnknown       no source or revision has that id
├── ModelUnavailable    embedder or language model: answer without it, or call a person
└── IndexUnavailable    the vector index: keywords go on alone, the index is rebuilt
"""


class RagError(Exception):
    """The root of everything rag raises on purpose."""


class SourceUnreadable(RagError):
    """A document cannot be taken in: empty, too large, of an unknown kind, or broken."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SourceUnknown(RagError):
    """No source or revision has that id."""


class ModelUnavailable(RagError):
    """A model did not load, or did not answer in time."""


class IndexUnavailable(RagError):
    """The vector index did not answer, or answered wrongly."""
