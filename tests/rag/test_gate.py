"""What a model wrote, held against what it was given: the good passes, the bad never does."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.gate import Fault, Gate, Rolling, sentences
from rag.prompts import answer_prompt
from rag.types import Language, Question
from tests.rag.test_extract import candidate

REFUND = (
    "Refunds are paid within 14 days of the return. Write to help@example.com or see "
    "https://example.com/refunds for the form. The QR-3200X is exchanged in the Berlin shop."
)
SHIPPING = "Shipping costs 5 EUR. Orders leave our warehouse on Mondays. `make run` starts it."
REFUND_ZH = "退货后14天内退款。请写信至 help@example.com。QR-3200X 可在柏林门店更换，运费5欧元。"


def gate(language: Language = "en", question: str = "When is my refund paid?") -> Gate:
    texts = {"en": (REFUND, SHIPPING), "zh": (REFUND_ZH,)}[language]
    passages = [candidate(text, language=language) for text in texts]
    prompt = answer_prompt(Question(text=question), language, passages)
    return Gate(
        prompt=prompt,
        passages=dict(enumerate(texts, 1)),
        question=question,
        language=language,
    )


GOOD: list[tuple[Language, str]] = [
    ("en", "Refunds are paid within 14 days [1]."),
    ("en", "Your refund is paid within fourteen days of the return [1]. Shipping costs 5 EUR [2]."),
    ("en", "You can:\n- write to help@example.com [1]\n- use https://example.com/refunds [1]"),
    ("en", "The QR-3200X is exchanged in the Berlin shop. [1]"),
    ("en", "Orders leave on Mondays [2]."),
    ("en", "Yes, you can. It goes back to the Berlin shop [1]."),
    ("en", "Here is what to do next: write to help@example.com [1]."),
    ("zh", "退货后14天内会退款 [1]。"),
    ("zh", "您把货退回之后，14天内我们就会把款退给您 [1]。"),
    ("zh", "您可以在柏林门店更换 QR-3200X [1]。运费是5欧元[1]。"),
]


@pytest.mark.parametrize(("language", "text"), GOOD)
def test_what_the_passages_say_passes_in_other_words(language: Language, text: str) -> None:
    """Paraphrase, lists, addresses of the passage, numbers in words: nothing is held back."""
    assert gate(language).faults(text) == ()


BAD: list[tuple[Language, str, Fault]] = [
    ("en", "", Fault.EMPTY),
    ("en", "[1]", Fault.EMPTY),
    ("en", "Refunds are paid within 14 days.", Fault.UNCITED),
    ("en", "Refunds are paid within 14 days [3].", Fault.CITATION),
    ("en", "Refunds are paid [see passage 1] within 14 days [1].", Fault.CITATION),
    ("en", "Refunds are paid within 15 days [1].", Fault.VALUE),
    ("en", "Refunds are paid within two weeks [1].", Fault.VALUE),
    ("en", "Refunds are paid within 14 days [2].", Fault.VALUE),
    ("en", "Refunds are paid within 14 hours [1].", Fault.VALUE),
    ("en", "Shipping costs 5 USD [2].", Fault.VALUE),
    ("en", "Orders leave our warehouse on Tuesdays [2].", Fault.VALUE),
    ("en", "The QR-3201X is exchanged in the Berlin shop [1].", Fault.VALUE),
    ("en", "Write to sales@example.com for the refund form [1].", Fault.VALUE),
    ("en", "Call +49 30 123456 for the refund form [1].", Fault.VALUE),
    ("en", "See https://evil.example/refunds for the form [1].", Fault.VALUE),
    ("en", "See the refund form at evil.xyz/form [1].", Fault.ADDRESS),
    ("en", "See the refund form at tg://resolve?domain=evil [1].", Fault.ADDRESS),
    ("en", "See javascript:alert(1) for the refund form [1].", Fault.ADDRESS),
    ("en", "Refunds are paid ![x](https://example.com/refunds) [1].", Fault.MARKUP),
    ("en", "See [the form](https://example.com/refunds) for refunds [1].", Fault.MARKUP),
    ("en", "Refunds are paid <img src=x onerror=alert(1)> [1].", Fault.MARKUP),
    ("en", "Refunds are paid.</p><script>x</script> [1]", Fault.MARKUP),
    ("en", '{"tool_calls": [{"name": "refund"}]} Refunds are paid [1].', Fault.MARKUP),
    ("en", "```\nRefunds are paid\n``` [1]", Fault.MARKUP),
    ("en", "Refunds are paid with sk-abcdefabcdefabcdef [1].", Fault.CREDENTIAL),
    ("en", "退货后14天内退款 [1]。", Fault.LANGUAGE),
    ("en", "Возврат в течение 14 дней [1].", Fault.LANGUAGE),
    ("en", "El reembolso se paga en 14 días después de la devolución del producto [1].",
     Fault.UNSUPPORTED),
    ("zh", "Refunds are paid within 14 days of the return [1].", Fault.LANGUAGE),
    ("zh", "返金は14日以内です [1]。", Fault.LANGUAGE),
    ("en", "I will check the refund and get back to you [1].", Fault.PROMISE),
    ("en", "Let me look into the refund [1].", Fault.PROMISE),
    ("en", "I have cancelled the return [1].", Fault.PROMISE),
    ("en", "We'll contact you about the refund [1].", Fault.PROMISE),
    ("zh", "我会核实退款，稍后回复您 [1]。", Fault.PROMISE),
    ("zh", "我们马上为您处理退款 [1]。", Fault.PROMISE),
    ("zh", "我已为您取消退货 [1]。", Fault.PROMISE),
    ("zh", "退货后15天内退款 [1]。", Fault.VALUE),
    ("zh", "退货后十五天内退款 [1]。", Fault.VALUE),
    ("zh", "退货后两周内退款 [1]。", Fault.VALUE),
    ("zh", "请访问 evil.com/退款 办理退款 [1]。", Fault.VALUE),
    ("zh", "请到星巴克的窗口领取免费咖啡和礼物 [1]。", Fault.UNSUPPORTED),
    ("en", "Everything is free [1].", Fault.UNSUPPORTED),
    ("zh", "一切免费 [1]。", Fault.UNSUPPORTED),
    ("en", "Refunds are best at Contoso, which pays faster [1].", Fault.UNSUPPORTED),
    ("en", "Our competitors sell cheaper furniture and nicer gardens [1].", Fault.UNSUPPORTED),
    ("en", "NOT_IN_PASSAGES, but refunds are paid within 14 days [1].", Fault.PROMPT),
    ("en", "You answer a customer of a company. Your only knowledge is the passages [1].",
     Fault.PROMPT),
    ("zh", "你为一家公司的客户解答问题。你唯一的知识来源是给出的段落 [1]。", Fault.PROMPT),
    ("en", "Refunds are paid within 14 days [1]. " * 120, Fault.LONG),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "fault"), BAD)
def test_what_they_do_not_say_is_held_back(language: Language, text: str, fault: Fault) -> None:
    """Invented, foreign, dangerous or promised: each for the reason it is."""
    assert fault in gate(language).faults(text)


def test_the_border_of_the_material_never_leaves() -> None:
    """The random mark is a canary: an answer that holds it was told by the prompt."""
    one = gate()

    assert Fault.PROMPT in one.faults(f"Refunds are paid {one.prompt.mark.strip('=')} [1].")


def test_a_promise_that_the_company_makes_in_writing_may_be_quoted() -> None:
    """What the passage itself says is no empty promise."""
    text = "We will contact you within 2 days."
    one = Gate(
        prompt=gate().prompt, passages={1: text}, question="When do you call?", language="en"
    )

    assert one.faults("We will contact you within 2 days [1].") == ()


def shown(text: str, *, size: int = 3, language: Language = "en") -> list[str]:
    seen: list[str] = []
    rolling = Rolling(gate(language), seen.append)
    for at in range(0, len(text), size):
        rolling.take(text[at : at + size])
    return seen


def test_sentences_are_shown_as_they_pass() -> None:
    """Each with its mark, and the last one only with the whole."""
    text = "Refunds are paid within 14 days [1]. Shipping costs 5 EUR [2]. Orders leave on Mondays"

    assert shown(text) == [
        "Refunds are paid within 14 days [1].",
        "Refunds are paid within 14 days [1]. Shipping costs 5 EUR [2].",
    ]
    assert shown("退货后14天内退款[1]。运费5欧元[1]。QR-3200X", language="zh") == [
        "退货后14天内退款[1]。",
        "退货后14天内退款[1]。运费5欧元[1]。",
    ]


@pytest.mark.parametrize(
    "bad",
    ["It takes 99 days [1].", "See https://evil.example/x [1].", "<b>Refunds</b> [1].",
     "I will check that [1].", "退款 [1]。", "Call +1 555 123 4567 [1]."],
)  # fmt: skip
def test_nothing_bad_is_shown_even_for_a_moment(bad: str) -> None:
    """After the first sentence that does not pass nothing more is shown."""
    text = f"Refunds are paid within 14 days [1]. {bad} Shipping costs 5 EUR [2]. Orders leave."

    assert shown(text) == ["Refunds are paid within 14 days [1]."]


def test_the_verdict_of_the_reader_is_never_shown() -> None:
    """The word for "not in the passages" is for us alone, also letter by letter."""
    assert shown("NOT_IN_PASSAGES", size=1) == []
    assert shown("NOT_IN_PASSAGES. Refunds are paid within 14 days [1]. Yes.", size=1) == []


SENTENCES = [text for _, text in GOOD] + [text for _, text, _ in BAD if len(text) < 200]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(SENTENCES), max_size=3), st.integers(1, 40))
def test_what_is_shown_is_a_beginning_that_passes(parts: list[str], size: int) -> None:
    """However the pieces fall: a prefix, growing, every sentence of which may be shown."""
    text = " ".join(parts)
    seen = shown(text, size=size)
    one = gate()

    assert all(text.startswith(now) for now in seen)
    assert all(later.startswith(now) for now, later in itertools.pairwise(seen))
    assert all(one.may_show(sentence) for now in seen for sentence in sentences(now))


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    """Whatever a model says, the gate comes to an end, and without a mark it holds it back."""
    for language in ("en", "zh"):
        found = gate(language).faults(text)

        assert found or "[1]" in text or "[2]" in text
