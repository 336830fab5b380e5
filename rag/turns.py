"""Whether a line asks anything: courtesy phrases are taken off, and what is left decides.

Pure. Wrong in the safe direction: whatever is not wholly courtesy counts as a question.
"""

import functools
import re
from typing import Literal

from rag.language import fold

TurnKind = Literal["question", "thanks", "greeting", "small_talk"]

_PHRASES: dict[TurnKind, str] = {
    "thanks": """
        thanks, thank you, thank u, thanks a lot, thanks so much, thank you so much, thx,
        tks, ty, thank you very much, many thanks, cheers, much appreciated,
        i appreciate it, thanks again, thanks for the help, thanks for your help,
        thank you for your help, appreciate it, 谢谢, 谢谢你, 谢谢您, 谢谢你们, 谢谢啦,
        谢谢了, 谢啦, 谢了, 多谢, 多谢了, 感谢, 感谢您, 感谢你, 非常感谢, 十分感谢,
        太感谢了, 非常感谢您, 感谢您的帮助, 谢谢你的帮助, 谢谢您的帮助, 谢谢帮助, 辛苦了,
        辛苦您了, 辛苦你了, 麻烦您了, 麻烦你了, 麻烦了
    """,
    "greeting": """
        hi, hey, hello, hallo, howdy, greetings, good morning, good afternoon,
        good evening, good day, yo, hi there, hello there, hey there, hi all, hi everyone,
        hello everyone, 你好, 您好, 大家好, 你好啊, 你好呀, 您好啊, 哈喽, 哈罗, 嗨,
        早上好, 上午好, 中午好, 下午好, 晚上好, 早安, 早, 在吗, 在么, 在不在, 有人吗,
        有人在吗, 您好在吗
    """,
    "small_talk": """
        how are you, how are you doing, how are you today, how are you doing today,
        what's up, how is it going, how's it going, nice to meet you, how do you do,
        are you a bot, are you a robot, are you human, are you a human, are you real,
        are you there, who are you, are you a real person, what is your name,
        what's your name, tell me a joke, bye, bye bye, goodbye, good bye, see you,
        see you later, good night, have a nice day, have a good day, have a great day,
        have a nice weekend, have a good one, ok, okay, k, kk, sure, fine, great, cool,
        perfect, awesome, nice, got it, i see, alright, all right, sounds good,
        that's all, that is all, that's it, that's great, that's fine, that's all for now,
        that helps, that works, that worked, never mind, nevermind, no problem,
        you're welcome, no thanks, no thank you, good bot, good job, well done, yes, yeah,
        yep, no, nope, lol, haha, hahaha, hmm, wow, oh, 好, 好的, 好吧, 好嘞, 行, 行吧,
        可以, 可以了, 嗯, 嗯嗯, 哦, 噢, 喔, 哦哦, 明白, 明白了, 知道了, 了解, 了解了,
        懂了, 收到, 没事, 没事了, 不用了, 没问题, 没有了, 就这样, 就这样吧, 搞定, 搞定了,
        解决了, 对, 对的, 是的, 不是, 哈哈, 哈哈哈, 呵呵, 嘿嘿, 厉害, 太好了, 不错, 再见,
        拜拜, 晚安, 回头见, 你是谁, 你叫什么, 你叫什么名字, 你是机器人吗, 你是真人吗,
        你是人工吗, 你最近怎么样, 你吃了吗, 吃饭了吗, 今天天气真好, 今天天气不错,
        讲个笑话, 给我讲个笑话
    """,
}
# Said around courtesy, meaning nothing of their own; never enough to make a line courtesy.
_FILLERS = frozenset(
    """
    there everyone team bot so and then now very much again friend all really just oh for your the
    help sir madam guys please 亲 啊 呀 哦 啦 了 哈 吧 呢
    """.split()  # noqa: SIM905 - a list of words reads better as words
)
_RANK: tuple[TurnKind, ...] = ("thanks", "greeting", "small_talk")
_LONGEST = 32  # characters of the longest phrase above


def classify_turn(text: str) -> TurnKind:
    """What a line is for: "Hi, thanks!" is thanks, "Hi, where is my order?" a question.

    A line without a letter or digit (an emoji, "???") is small talk.
    """
    rest = " ".join(re.sub(r"[^\w' ]|_", " ", fold(text).replace("’", "'")).split())
    found: set[TurnKind] = set() if rest else {"small_talk"}
    while rest:
        taken = _longest_phrase(rest)
        if taken in _kinds():
            found.add(_kinds()[taken])
        elif not taken or not found:
            return "question"
        rest = rest[len(taken) :].lstrip()
    return min(found, key=_RANK.index)


def looks_asking(text: str) -> bool:
    """Whether a line has the form of a question; people often ask without it."""
    return bool(_ASKING.search(fold(text).strip()))


@functools.cache
def _kinds() -> dict[str, TurnKind]:
    return {
        " ".join(phrase.split()): kind
        for kind, phrases in _PHRASES.items()
        for phrase in phrases.split(",")
    }


def _longest_phrase(rest: str) -> str:
    """The longest phrase or filler that `rest` begins with, ending where a word ends; else ""."""
    for length in range(min(len(rest), _LONGEST), 0, -1):
        start = rest[:length]
        if (start in _kinds() or start in _FILLERS) and not _cuts_a_word(rest, length):
            return start
    return ""


def _cuts_a_word(rest: str, at: int) -> bool:
    around = rest[at - 1 : at + 1]
    return len(around) == 2 and around.isascii() and " " not in around


_ASKING = re.compile(
    r"[?？]|^(?:what|how|why|when|where|who|whom|whose|which|is|are|am|was|were|do|does|did|can|"
    r"could|will|would|should|may|has|have)\b|吗|呢|什么|怎么|怎样|如何|为何|哪|谁|几|多少|是否|"
    r"能不能|可不可以|有没有|请问|多久|多长|多大"
)
