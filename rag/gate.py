"""The last look at what a language model wrote: what must never reach a customer does not pass.

Pure. The model is not believed in anything. Each value must stand in a passage that is cited, each
sentence be made of what the passages say, in the customer's language, without markup, address,
promise, or a word of the prompt. What does not pass is not mended: the answer is quoted instead.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rag.language import (
    ENGLISH_STOP_WORDS,
    character_grams,
    cjk_count,
    content_terms,
    fold,
    has_han,
    is_stop,
    stem,
    tokens,
)
from rag.prompts import NOT_IN_PASSAGES, Prompt, shown_to_model
from rag.types import Language
from rag.values import unheld, without_marks

ANSWER_CHARS_MAX = 4_000
_SUPPORT_MIN = 0.5  # of a sentence's terms that passages or question must hold
_OWN_SUPPORT_MIN = 0.34  # of them that the passages alone must hold: nobody is answered by an echo
_TOLD_MIN = 0.3  # the same of a summary, which uses words of its own
_LOOSE = 0.4  # what a Chinese character counts that is known, but not in this pair
_LEAK_WORDS, _LEAK_CHARS = 8, 14  # of our rules in a row, in English and in Chinese

_MARK = re.compile(r"\[(\d{1,2})\]")
_BRACKETS = re.compile(r"\[(?!\d{1,2}\])[^\]]*\]")
# A sentence ends where a space, a line or Chinese follows; its marks belong to it.
_END = re.compile(
    r"(?:[.!?](?=[\s\"”’)\[])|[。！？；]|\n)[\"”’」』）)]*(?:\s*\[\d{1,2}\])*[.。]?\s*"
)
_MARKUP = re.compile(
    r"<[a-z!/?|]|!\[|\]\(|```|`[^`]*`|&#?\w{2,8};|\bon\w+\s*=|^\s*#{1,6}\s|"
    r"\"?(?:tool_calls?|function_call|arguments)\"?\s*[:=]|[{}]|<\|",
    re.IGNORECASE | re.MULTILINE,
)
_TAIL = r"[^\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]*"
_SCHEME = re.compile(
    rf"\b[a-z][a-z0-9+.-]{{1,20}}:(?://|(?=[a-z0-9%+@])(?![0-9])){_TAIL}", re.IGNORECASE
)
_DOTTED = re.compile(
    rf"(?<![A-Za-z0-9.])(?:[A-Za-z0-9-]+\.)+[A-Za-z]{{2,24}}(?![A-Za-z])(?:/{_TAIL})?"
    r"|[^\s\x00-\x7f]\.[A-Za-z]{2,24}(?![A-Za-z])"
)
_CREDENTIAL = re.compile(
    r"\bsk-[\w-]{12,}|\bx(?:ox[a-z]|app)-[\w-]{8,}|\beyJ[\w-]{8,}\.[\w-]+\.|\d{6,12}:[\w-]{30,}"
)
_PROMISE = re.compile(
    r"\b(?:i|we)(?:['’]ll| will| shall| am going to| are going to|['’]m going to|['’]re going to)"
    r"\b[^.!?]{0,40}\b(?:check|look into|get back|follow up|let you know|contact|call|e-?mail|"
    r"forward|pass|escalate|investigate|inform|notify|arrange|process|update|send|refund|cancel)\b|"
    r"\b(?:i|we)(?:['’]ve| have)? (?:just |already )?(?:checked|forwarded|escalated|cancelled|"
    r"canceled|refunded|updated|notified|informed|arranged|passed|sent|processed|looked into)\b|"
    r"\bi(?:['’]ve| have) (?:just |already |now )?[a-z]+(?:ed|n|t|de)\b|"
    r"\blet me (?:check|look|find out|see)\b|\bplease (?:hold|wait) (?:on )?while i\b|"
    r"(?:我们?|本人|客服)(?:这就|马上|稍后|立即|现在|会|将|先|来|去|帮您|为您|已经?|正在){1,3}"
    r"[^。！？，]{0,8}(?:核实|查询|查一下|查看|确认|跟进|反馈|转告|转达|联系您|回复您|通知您|"
    r"处理|办理|取消|退款|提交|安排|上报|升级)|请稍等|稍后(?:给您|为您)?(?:回复|答复)",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[\w,;:)\]”’] )[A-Z][\w'’&-]*[A-Za-z0-9]|(?<=[a-z ])[A-Z]{2,}\b")
_LATIN_IN_HAN = re.compile(r"[A-Za-z][A-Za-z0-9+#-]+")
# Words that join what is said and say nothing themselves.
_LIGHT = frozenset(
    stem(word)
    for word in """
    go goes back come make take use need want let also then first next only like way thing yes
    sure here there note follow following simply once after before until while within without
    through via per each every both either other another same still already always must may
    might able possible possibly help would up out off over under again well more most much many
    one new now when where second last
    """.split()  # noqa: SIM905 - a list of words reads better as words
)
_COMMON = frozenset(["I", "I'm", "I'll", "OK", "FAQ", "PDF", "URL", "ID"])


class Fault(StrEnum):
    """Why an answer was held back; for the record and for those who tune prompts."""

    EMPTY = "empty"
    LONG = "long"
    UNCITED = "uncited"
    CITATION = "citation"  # a number that no passage has, or something else in brackets
    VALUE = "value"  # a number, date, amount, address or code that no cited passage holds
    ADDRESS = "address"
    MARKUP = "markup"
    CREDENTIAL = "credential"
    LANGUAGE = "language"
    PROMISE = "promise"
    PROMPT = "prompt"  # words of our own rules
    UNSUPPORTED = "unsupported"  # a sentence that is not made of what the passages say


@dataclass(frozen=True, slots=True)
class Gate:
    """What one answer is held against: its prompt, and what the passages by number say."""

    prompt: Prompt
    passages: Mapping[int, str]
    question: str
    language: Language
    translated: bool = False  # a quote put into another language: its words cannot be compared

    def faults(self, text: str) -> tuple[Fault, ...]:
        """Every reason why `text` must not be sent; none means that it may."""
        cited = {int(number) for number in _MARK.findall(text)}
        found = set[Fault]()
        if not without_marks(text).strip():
            found.add(Fault.EMPTY)
        if len(text) > ANSWER_CHARS_MAX:
            found.add(Fault.LONG)
        if not cited:
            found.add(Fault.UNCITED)
        found |= self._faults_of(text, cited & set(self.passages))
        for sentence in sentences(text):
            found |= self._faults_of_sentence(sentence, cited & set(self.passages))
        return tuple(sorted(found))

    def may_show(self, sentence: str) -> bool:
        """Whether a sentence may be shown while the next one is still being written."""
        cited = {int(number) for number in _MARK.findall(sentence)} & set(self.passages)
        held = cited or set(self.passages)
        return not (self._faults_of(sentence, held) | self._faults_of_sentence(sentence, held))

    def _faults_of(self, text: str, cited: set[int]) -> set[Fault]:
        sources = self._sources(cited)
        bare = without_marks(text)
        checks = {
            Fault.CITATION: self._strange_marks(text),
            Fault.VALUE: bool(unheld(bare, sources)),
            Fault.ADDRESS: _strange_addresses(bare, sources),
            Fault.MARKUP: _strange_markup(text, sources),
            Fault.CREDENTIAL: any(one not in sources for one in _CREDENTIAL.findall(text)),
            Fault.LANGUAGE: not _speaks(bare, self.language, sources),
            Fault.PROMISE: any(
                fold(one[0]) not in fold(sources) for one in _PROMISE.finditer(bare)
            ),
            Fault.PROMPT: self._leaks(text),
        }
        return {fault for fault, is_there in checks.items() if is_there}

    def _faults_of_sentence(self, sentence: str, cited: set[int]) -> set[Fault]:
        bare = without_marks(sentence)
        sources = self._sources(cited)
        known = f"{sources}\n{self.question}"
        is_told = not _strange_names(bare, known, self.language) and (
            self.translated
            or (
                _support(bare, sources) >= _OWN_SUPPORT_MIN
                and _support(bare, known) >= _SUPPORT_MIN
            )
        )
        return set() if is_told else {Fault.UNSUPPORTED}

    def _sources(self, cited: set[int]) -> str:
        return "\n".join(shown_to_model(self.passages[n]) for n in sorted(cited))

    def _strange_marks(self, text: str) -> bool:
        numbers = {int(number) for number in _MARK.findall(text)}
        return bool(numbers - set(self.passages)) or bool(_BRACKETS.search(text))

    def _leaks(self, text: str) -> bool:
        core = self.prompt.mark.strip("=")
        if core in text or NOT_IN_PASSAGES in text:
            return True
        return bool(_shingles(text) & _shingles_of_rules(self.prompt.rules))


def sentences(text: str) -> Iterator[str]:
    """The sentences of an answer, each with its marks."""
    start = 0
    for end in _END.finditer(text):
        yield from _spoken(text[start : end.end()])
        start = end.end()
    yield from _spoken(text[start:])


def _spoken(text: str) -> Iterator[str]:
    if text.strip():
        yield text


class Rolling:
    """Shows an answer while it is being written, sentence by sentence, as far as it passes.

    A sentence is looked at when something follows it, and nothing is shown after the first that
    does not pass: not even for a moment. One without a source waits for one that has.
    """

    def __init__(self, gate: Gate, show: Callable[[str], None]) -> None:
        self._gate = gate
        self._show = show
        self._text = ""
        self._seen = self._shown_to = 0
        self._held = False
        self.shown = ""

    def take(self, piece: str) -> None:
        """The next piece of the text."""
        self._text += shown_to_model(piece)
        self._held = self._held or len(self._text) > ANSWER_CHARS_MAX
        if self._held or NOT_IN_PASSAGES.startswith(self._text.strip()[: len(NOT_IN_PASSAGES)]):
            return
        before, shown_to = self.shown, self._shown_to
        for end in _END.finditer(self._text, self._seen):
            # What follows may be a mark that belongs to the sentence.
            rest = self._text[end.end() :].lstrip()
            if not rest or rest[0] in '["”’」』）)':
                break
            if not self._gate.may_show(self._text[self._seen : end.end()]):
                self._held = True
                break
            if _MARK.search(self._text[self._seen : end.end()]):
                shown_to = end.end()
            self._seen = end.end()
        self._shown_to, self.shown = shown_to, self._text[:shown_to].rstrip()
        if self.shown != before:
            self._show(self.shown)


def told_by(text: str, sources: str, language: Language) -> bool:
    """Whether a text is in that language and says nothing that its sources do not."""
    return not (
        unheld(text, sources)
        or _strange_addresses(text, sources)
        or _strange_markup(text, sources)
        or _strange_names(text, sources, language)
        or not _speaks(text, language, sources)
        or _support(text, sources) < _TOLD_MIN
    )


def _strange_addresses(text: str, sources: str) -> bool:
    """Whether a link, or what could be read as one, stands in the text and in no source."""
    known = fold(sources)
    return any(
        fold(found[0]).rstrip(".,;:!?)。，") not in known
        for pattern in (_SCHEME, _DOTTED)
        for found in pattern.finditer(text)
    )


def _strange_markup(text: str, sources: str) -> bool:
    """Markup that the passages do not have: code that they show may be repeated."""
    return any(
        found[0] in ("![", "](", "```") or found[0].strip() not in sources
        for found in _MARKUP.finditer(text)
    )


def _speaks(text: str, language: Language, sources: str) -> bool:
    """Whether a text is in that language, words of the sources apart."""
    if any(_is_foreign(letter) and letter not in sources for letter in text):
        return False
    han, words = cjk_count(text), re.findall(r"[A-Za-z\u00c0-\u024f]+", text)
    if language == "zh":
        return han > 0 if len(words) > 3 else True
    if any(char not in sources for char in text if has_han(char)):
        return False
    glue = sum(word.lower() in ENGLISH_STOP_WORDS for word in words)
    return han <= len(words) and (len(words) < 8 or glue >= len(words) * 0.1)


def _is_foreign(letter: str) -> bool:
    """A letter of neither script: Cyrillic, Arabic, kana, …"""
    return letter.isalpha() and ord(letter) > 0x24F and not has_han(letter)


def _strange_names(text: str, known: str, language: Language) -> bool:
    """A name that neither the passages nor the question have."""
    pattern = _LATIN_IN_HAN if language == "zh" else _NAME
    held = fold(known)
    return any(
        fold(found[0]).removesuffix("'s").removesuffix("’s") not in held
        for found in pattern.finditer(text)
        if found[0] not in _COMMON
    )


def _support(sentence: str, known: str) -> float:
    """The share of what a sentence says that is known: words by their stem or most of their
    letters, Chinese characters by the pairs they stand in. A joint such as "Do this:" is known."""
    terms = [term for term in content_terms(sentence) if not has_han(term) and term not in _LIGHT]
    held, grams = set(tokens(known)), character_grams(known)
    words = sum(term in held or _nearly(term, grams) for term in terms)
    characters, covered = _han_coverage(sentence, fold(known), grams)
    said = len(terms) + characters / 2
    return (words + covered / 2) / said if said else 1.0


def _han_coverage(sentence: str, known: str, grams: set[str]) -> tuple[int, float]:
    """How many Chinese characters there are that mean something, and how many are known."""
    total, covered = 0, 0.0
    for run in re.findall(r"[\u3400-\u9fff]+", fold(sentence)):
        pairs = [run[i : i + 2] in grams for i in range(len(run) - 1)]
        for at, character in enumerate(run):
            if not is_stop(character):
                total += 1
                in_pair = any(pairs[max(at - 1, 0) : at + 1])
                covered += 1.0 if in_pair else _LOOSE * (character in known)
    return total, covered


def _nearly(term: str, grams: set[str]) -> bool:
    own = character_grams(term)
    return len(own) >= 4 and len(own & grams) >= 0.8 * len(own)


@lru_cache(maxsize=64)
def _shingles_of_rules(rules: str) -> set[str]:
    return _shingles(rules)


def _shingles(text: str) -> set[str]:
    """Runs of words or of Chinese characters, long enough that nobody writes one by chance."""
    words = re.findall(r"[a-z']+", text.lower())
    runs = {" ".join(words[i : i + _LEAK_WORDS]) for i in range(len(words) - _LEAK_WORDS + 1)}
    for run in re.findall(r"[\u4e00-\u9fff]+", re.sub(r"[，、“”\s]", "", text)):
        runs.update(run[i : i + _LEAK_CHARS] for i in range(len(run) - _LEAK_CHARS + 1))
    return runs


def cited_in_order(text: str) -> Sequence[int]:
    """The numbers of the passages that a text cites, in the order of their first mark."""
    return list(dict.fromkeys(int(number) for number in _MARK.findall(text)))


def renumbered(text: str, order: Sequence[int]) -> str:
    """`text` with its marks numbered from 1 in that order."""
    return _MARK.sub(lambda found: f"[{order.index(int(found[1])) + 1}]", text)
