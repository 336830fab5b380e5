"""A vendor's parser that gives up on a file: one reason for whoever uploaded it."""

from collections.abc import Generator
from contextlib import contextmanager

from rag.errors import SourceUnreadable


@contextmanager
def reading(kind: str) -> Generator[None]:
    """What a parser raises becomes SourceUnreadable; memory that is used up stays what it is."""
    try:
        yield
    except (SourceUnreadable, MemoryError):
        raise
    except Exception as error:  # parsers raise whatever their last line raised
        raise SourceUnreadable(
            f"Its .{kind} cannot be read: the file is damaged. Open it in its program and save it"
            " anew.",
            f"无法读取这个 .{kind} 文件：文件已损坏。请用相应的软件打开后重新保存。",
        ) from error
