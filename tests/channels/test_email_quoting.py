"""What stays of a reply: the writer's words, whichever program quoted ours."""

import pytest

from channels.email.quoting import own_words

OWN = "Yes, the blue one.\n\nThank you!"


@pytest.mark.parametrize(
    "history",
    [
        "On Mon, 2 Mar 2026 at 09:00, Shop <help@shop.example> wrote:\n> Which one?\n>\n> Tandem",
        "On Mon, 2 Mar 2026 at 09:00, Shop Support\n<help@shop.example> wrote:\n\n> Which one?",
        "On Mon, 2 Mar 2026 at 09:00, Shop\n<help@shop.example>\nwrote:\n\nWhich one?",
        "在 2026年3月2日，09:00，Shop <help@shop.example> 写道：\n\n> 哪一个？",
        "At 2026-03-02 09:00:00, \"Shop\" <help@shop.example> wrote:\n>Which one?",
        "Am 02.03.2026 um 09:00 schrieb Shop <help@shop.example>:\n> Welches?",
        "2026. 3. 2. 9:00, Shop <help@shop.example> 작성:\n> 어느 것?",
        "-----Original Message-----\nFrom: Shop\nSent: Monday\nTo: Ana\nSubject: x\n\nWhich one?",
        "------------------ 原始邮件 ------------------\n发件人: Shop;\n\n哪一个？",
        "---- 回复的原邮件 ----\n| 发件人 | Shop |\n\n哪一个？",
        "From: Shop\nSent: Monday, 2 March 2026 09:00\nTo: Ana\nSubject: Re: x\n\nWhich one?",
        "*From:* Shop <help@shop.example>\n*Date:* Monday\n*To:* Ana\n\nWhich one?",
        "发件人：Shop\n发送时间：2026年3月2日 09:00\n收件人：Ana\n主题：x\n\n哪一个？",
        "> Which one?",
        "-- \nAna Li\n+49 1234",
        "--\nAna Li",
        "Sent from my iPhone",
        "发自我的iPhone",
        "Get Outlook for Android<https://aka.example>",
    ],
    ids=lambda history: history[:32],
)  # fmt: skip
def test_history_and_signature_are_no_words_of_the_writer(history: str):
    """The mail that was answered, and what programs and signatures add."""
    assert own_words(f"{OWN}\n\n{history}") == OWN


def test_answers_between_the_quotes_are_kept():
    """Some answer line by line, below what they answer."""
    text = (
        "On Mon, 2 Mar 2026 at 09:00, Shop <help@shop.example> wrote:\n"
        "> Which one?\nThe blue one.\n\n> And when?\nTomorrow."
    )

    assert own_words(text) == "The blue one.\n\nTomorrow."


@pytest.mark.parametrize(
    "text",
    [
        "From: Berlin\nit should go to Rome.",
        "She wrote:\nnothing at all.",
        "My list:\n- one\n- two",
        "Write to ana@example.com on 5 May:\nshe knows.",
        "A line\n--\n" + "\n".join(f"{n}. a long list" for n in range(20)),
        "---------- Forwarded message ---------\nFrom: Bank\nDate: Monday\n\nIs this from you?",
    ],
    ids=lambda text: text[:24],
)
def test_what_only_looks_like_history_stays(text: str):
    """Rather a line too much than a question lost; a forwarded mail is the question."""
    kept = own_words(text)

    assert kept.split("\n")[-1] == text.rsplit("\n", maxsplit=1)[-1] or "Forwarded" in text


def test_a_mail_of_quotes_alone_is_kept_whole():
    """Who sends back our words without any of theirs says at least that."""
    assert own_words("> Which one?\n") == "> Which one?"
