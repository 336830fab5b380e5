"""The health report of a document, in words."""

from collections.abc import Iterator

from rag.types import Health, Words

_PAGES_SHOWN_MAX = 12


def health_lines(health: Health, language: str) -> Iterator[str]:
    """What a document turned out to be, a line for each thing; warnings last."""
    words = (one.in_language(language) for one in _facts(health))
    yield "; ".join(words)
    for warning in health.warnings:
        mark = "注意：" if language == "zh" else "warning: "
        yield f"{mark}{warning.in_language(language)}"


def _facts(health: Health) -> Iterator[Words]:
    yield Words(f"{health.characters:,} characters", f"{health.characters:,} 个字符")
    pages = len(health.page_characters)
    if pages:
        each = round(sum(health.page_characters) / pages)
        least, most = min(health.page_characters), max(health.page_characters)
        yield Words(
            f"{pages} pages with {each:,} characters each ({least:,} to {most:,})",
            f"{pages} 页，平均每页 {each:,} 个字符（{least:,} 至 {most:,}）",
        )
        yield Words(
            f"empty pages: {_named(health.empty_pages)}", f"空白页：{_named(health.empty_pages)}"
        )
        yield Words(
            f"scanned pages: {_named(health.scanned_pages)}",
            f"扫描页：{_named(health.scanned_pages)}",
        )
    yield Words(f"{health.chunks:,} passages", f"{health.chunks:,} 个段落")
    if health.wordings:
        yield Words(f"{health.wordings:,} other wordings", f"{health.wordings:,} 种其他问法")
    yield Words(
        f"{health.duplicate_share:.0%} repeated text", f"重复文本 {health.duplicate_share:.0%}"
    )
    if health.language:
        yield Words(f"language {health.language}", f"语言 {health.language}")
    yield Words(
        f"{health.unknown_token_share:.0%} words that the embedder lacks",
        f"嵌入模型不认识的词 {health.unknown_token_share:.0%}",
    )
    yield Words(
        f"answers some {health.questions:,} questions", f"估计可回答约 {health.questions:,} 个问题"
    )


def _named(pages: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, pages[:_PAGES_SHOWN_MAX]))
    if len(pages) > _PAGES_SHOWN_MAX:
        return f"{shown} … ({len(pages)})"
    return shown or "0"
