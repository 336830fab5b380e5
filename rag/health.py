"""What a document turned out to be: the report that its uploader reads. Pure."""

from collections import Counter
from collections.abc import Sequence

from rag.language import content_terms
from rag.load import Loaded
from rag.passage import units
from rag.ports import Embedder
from rag.store import NewChunk
from rag.types import Health, Language, Words

_UNKNOWN_SHARE_WARN = 0.3
_DUPLICATE_SHARE_WARN = 0.3
_SAMPLE_CHARS = 20_000  # of a document, to tell the share of unknown tokens from
_SAMPLE_CHUNKS = 1_000  # of a document, to estimate from how much it can answer
_PAGE_CHARS_MIN = 10  # a page with fewer is empty
_TERMS_MIN = 3  # of a sentence that answers something


def health_of(loaded: Loaded, chunks: Sequence[NewChunk], embedder: Embedder) -> Health:
    """The report on a document and the chunks it was cut into. Blocks."""
    own = [chunk for chunk in chunks if chunk.entry_id is None]
    languages: Counter[Language] = Counter(chunk.language for chunk in own)
    duplicate = 1 - len({(c.heading_path, c.text) for c in own}) / len(own)
    unknown = embedder.unknown_share(_sample(chunks))
    empty = [
        at
        for at, count in enumerate(loaded.page_characters, start=1)
        if count < _PAGE_CHARS_MIN and at not in loaded.scanned_pages
    ]
    return Health(
        characters=loaded.characters,
        page_characters=loaded.page_characters,
        empty_pages=tuple(empty),
        scanned_pages=loaded.scanned_pages,
        chunks=len(own),
        wordings=len(chunks) - len(own),
        duplicate_share=duplicate,
        language=languages.most_common(1)[0][0],
        unknown_token_share=unknown,
        questions=_questions(own),
        warnings=(*loaded.warnings, *_warnings(unknown, duplicate)),
    )


def _sample(chunks: Sequence[NewChunk]) -> str:
    """Text from all over the document, in which every part has its share."""
    step = max(1, len(chunks) // 40)
    return "\n".join(chunk.text for chunk in chunks[::step])[:_SAMPLE_CHARS]


def _questions(chunks: Sequence[NewChunk]) -> int:
    """How many different questions the document can answer, as an estimate: one for each entry,
    each sentence that says something, each list, and each row of a table."""
    some = chunks[:_SAMPLE_CHUNKS]
    answers: set[str] = set()
    for chunk in some:
        if chunk.kind == "faq":
            answers.add(chunk.heading_path[-1] if chunk.heading_path else chunk.text)
            continue
        for unit in units(chunk.text):
            text = chunk.text[unit.start : unit.end]
            if unit.kind == "table":
                answers.update(text.split("\n")[2:])
            elif unit.kind == "list" or len(content_terms(text)) >= _TERMS_MIN:
                answers.add(text)
    return round(len(answers) * len(chunks) / max(len(some), 1))


def _warnings(unknown: float, duplicate: float) -> list[Words]:
    warnings: list[Words] = []
    if unknown > _UNKNOWN_SHARE_WARN:
        warnings.append(
            Words(
                f"The embedder does not know {unknown:.0%} of its words: only keywords find them.",
                f"嵌入模型不认识其中 {unknown:.0%} 的词语：这些内容只能靠关键词找到。",
            )
        )
    if duplicate > _DUPLICATE_SHARE_WARN:
        warnings.append(
            Words(
                f"{duplicate:.0%} of its passages repeat others word for word.",
                f"其中 {duplicate:.0%} 的段落与其他段落逐字重复。",
            )
        )
    return warnings
