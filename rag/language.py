"""Texts to terms: which language, which words, how alike two texts are by their letters.

Pure functions. Chinese needs no dictionary here: single characters and pairs of them find as much
as words cut by a segmenter. Traditional characters are folded to simplified ones, full-width
letters to half-width ones, Latin words to a light stem, so that both sides of a search meet.
"""

import functools
import re
import unicodedata
from typing import Any

from rag.types import Language

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ebef々〇"
_KANA = "\u3041-\u30ff\u31f0-\u31ff"
_HAN_CHAR = re.compile(f"[{_HAN}]")
_KANA_CHAR = re.compile(f"[{_KANA}]")
_CJK_CHAR = re.compile(f"[{_HAN}{_KANA}]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’][a-z]+)?")
# A run of Han or kana, or a word: letters and digits with the joints that codes, versions,
# addresses and names such as c++ have inside or at their end.
_LETTER = f"(?:(?![{_HAN}{_KANA}])[^\\W_])"
_PIECE = re.compile(f"[{_HAN}]+|[{_KANA}]+|{_LETTER}+(?:[._\\-/:@'’+&]{_LETTER}+)*(?:\\+\\+|#)?")
_JOINT = re.compile(r"[._\-/:@'’+&#]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH_STOP_WORDS = _words("""
    a about all also am an and any are aren't as at be been but by can can't cannot could couldn't
    did didn't do does doesn't doing don't for from get got had has hasn't have haven't having he
    her here hers him his how i i'd i'll i'm i've if in into is isn't it it's its just let me my
    myself no not of on or our ours please she should so some such tell than that that's the their
    them then there these they this those to too us very was wasn't we were weren't what what's
    when where which who whom whose why will with won't would you you're your yours
""")
CHINESE_STOP_WORDS = _words("""
    的 了 吗 呢 啊 吧 呀 嘛 么 是 在 和 与 及 或 有 我 你 您 他 她 它 们 这 那 哪 就 都
    也 很 还 又 把 被 给 让 对 为 之 其 以 于 而 个 些 一 不 会 能 要 想 到 去 来 上 下
    请 问 什 怎 如 何 谁 几 多 少 从 向 比 得 地 着 过
""")
CHINESE_STOP_PAIRS = _words("""
    什么 怎么 怎样 如何 为何 为什 哪些 哪个 哪里 哪儿 请问 可以 能够 是否 有没 没有 我们
    你们 他们 它们 这个 那个 这些 那些 多少 一个 一下 一些 知道 告诉 需要 是什 么是 有什
    的是 应该 时候 么样 样的 么办
""")
# Words that no other word contains: a question is cut at them, so that no pair spans one.
_HAN_FUNCTION_WORD = re.compile(
    "为什么|有没有|能不能|可不可以|是不是|怎么样|怎么办|什么|怎么|怎样|如何|为何|哪些|哪个|哪里|哪儿|请问|"
    "可以|能够|是否|我们|你们|他们|它们|这个|那个|这些|那些|多少|一个|一下|一些|时候|"
    "[的了吗呢啊吧呀嘛么我你您他她它这那哪把被谁]"
)
# Only these say that a line is English: names and products are Latin in every language.
_ENGLISH_GLUE = ENGLISH_STOP_WORDS - _words("a i it me so no get let all us am as")


def detect(text: str) -> Language:
    """The language to answer in: "zh" where Han outweighs English, else "en".

    A Latin name inside Chinese stays Chinese ("iPhone 15 Pro Max 价格"); a Chinese word inside an
    English sentence stays English. Japanese is not served: a line with a real share of kana counts
    as "en", whatever its kanji, because a Chinese answer would look right to nobody.
    """
    han = len(_HAN_CHAR.findall(text))
    if not han or len(_KANA_CHAR.findall(text)) * 4 > han:
        return "en"
    words = [word.lower() for word in _LATIN_WORD.findall(text)]
    glue = sum(word in _ENGLISH_GLUE for word in words)
    return "zh" if han > 2 * glue + 0.25 * len(words) else "en"


def fold(text: str) -> str:
    """`text` as the search sees it: NFKC, lower case, simplified Chinese."""
    text = unicodedata.normalize("NFKC", text).lower()
    return _simplifier().convert(text) if _HAN_CHAR.search(text) else text


def tokens(text: str) -> list[str]:
    """Search terms in reading order, repeats kept: Han characters and pairs, stems, codes whole."""
    found: list[str] = []
    for piece in _PIECE.findall(fold(text)):
        if _CJK_CHAR.match(piece):
            for at in range(len(piece)):
                found += (piece[at], piece[at : at + 2]) if at + 1 < len(piece) else (piece[at],)
        else:
            found += _word_terms(piece)
    return found


def content_terms(text: str) -> list[str]:
    """The terms that carry meaning, each once, in reading order: no stop words.

    Where pairs of Han characters are there, single ones are left out: they say the same again.
    """
    cut = _HAN_FUNCTION_WORD.sub(" ", fold(text))
    seen = dict.fromkeys(term for term in tokens(cut) if not is_stop(term))
    pairs = {term for term in seen if len(term) == 2 and _HAN_CHAR.match(term)}
    covered = {character for pair in pairs for character in pair}
    return [term for term in seen if term in pairs or term not in covered]


def is_stop(term: str) -> bool:
    """Whether a term of `tokens` says nothing about the subject."""
    if not _HAN_CHAR.match(term):
        return term in ENGLISH_STOP_WORDS or (len(term) == 1 and not term.isdigit())
    if len(term) == 1:
        return term in CHINESE_STOP_WORDS
    return term in CHINESE_STOP_PAIRS or all(char in CHINESE_STOP_WORDS for char in term)


def character_grams(text: str) -> set[str]:
    """Letter triples of words and pairs of Han: what survives typing errors and inflection."""
    grams: set[str] = set()
    for piece in _PIECE.findall(fold(text)):
        if _CJK_CHAR.match(piece):
            grams.update(piece[i : i + 2] for i in range(max(1, len(piece) - 1)))
        elif piece not in ENGLISH_STOP_WORDS:
            padded = f" {piece} "
            grams.update(padded[i : i + 3] for i in range(len(padded) - 2))
    return grams


def overlap(first: str, second: str) -> float:
    """How alike two short texts are by their letters, 0..1 (Dice over `character_grams`)."""
    one, other = character_grams(first), character_grams(second)
    if not one or not other:
        return float(fold(first).strip() == fold(second).strip())
    return 2 * len(one & other) / (len(one) + len(other))


def has_han(text: str) -> bool:
    return bool(_HAN_CHAR.search(text))


def cjk_count(text: str) -> int:
    """How many of the characters are Han or kana."""
    return len(_CJK_CHAR.findall(text))


def _word_terms(piece: str) -> list[str]:
    piece = piece.replace("’", "'")
    if "'" in piece and not any(char.isdigit() for char in piece):
        if piece in ENGLISH_STOP_WORDS:
            return [piece]
        piece = piece.split("'")[0]
    parts = [part for part in _JOINT.split(piece) if part]
    if any(char.isdigit() for char in piece):  # a number, a version, a product code: whole
        return [piece, *parts] if len(parts) > 1 else [piece]
    if len(parts) > 1:  # wi-fi is also written wifi
        return [*(stem(part) for part in parts), stem("".join(parts))]
    return [piece if piece.endswith(("+", "#")) else stem(piece)]


@functools.lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A light English stem: plurals, -ing, -ed, -ly and their spelling rules; short words stay."""
    if len(word) <= 3 or not word.isascii() or word in ENGLISH_STOP_WORDS:
        return word
    word = _without_plural(word)
    for suffix in ("ing", "ed"):
        root = word.removesuffix(suffix)
        if root != word and len(root) >= 3 and re.search("[aeiouy]", root):
            return _repair(root)
    if word.endswith("ly") and len(word) > 5:
        word = word[:-2]
    return _repair(word)


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _repair(root: str) -> str:
    """One spelling for a stem: "stopp" → "stop", "creat" and "create" → "creat"."""
    if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "lsz":
        root = root[:-1]
    if root.endswith("y") and len(root) > 3:
        root = root[:-1] + "i"
    return root[:-1] if root.endswith("e") and len(root) > 3 else root


@functools.cache
def _simplifier() -> Any:
    # 0.1 s and its tables: only when Chinese is met.
    from opencc import OpenCC  # pyright: ignore[reportMissingTypeStubs]

    return OpenCC("t2s")
