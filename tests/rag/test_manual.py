"""The shipped manual, asked with the real embedder: what it answers, and what it must not."""

from pathlib import Path

import pytest

from rag.embed import SentenceEmbedder
from rag.types import Answer, Question
from storage.database import Database
from tests.rag.bases import Base, open_base

KNOWLEDGE = Path(__file__).resolve().parents[2] / "knowledge"

IN_SCOPE = {
    "en": [
        "How do I hand a conversation back to the bot?",
        "how can i talk to a human",
        "How long do I have to wait for a person?",
        "What files can I upload?",
        "How do I sign in to the console the first time?",
        "Where does the bot get its answers from?",
        "Can the bot speak while an agent is answering?",
        "how do i add another agent",
        "What happens when I resolve a conversation?",
        "Does the chat work when I am offline?",
        "How do I put the widget on my web page?",
        "how do I remove a document",
        "What does tandem doctor do?",
        "can i write a note that the customer does not see",
        "Where is my data stored?",
    ],
    "zh": [
        "如何转人工?",
        "怎么把会话交还给机器人？",
        "转人工要等多久",
        "可以上传哪些文件？",
        "怎么添加客服账号",
        "机器人的答案从哪里来？",
        "怎么备份数据？",
        "如何删除一个文档",
        "怎么把聊天窗口放到我的网站上",
        "断网了消息会丢吗",
        "内部备注客户能看到吗",
        "忘记密码怎么办",
        "第一次怎么登录控制台",
        "周末有人工吗",
        "怎样检查设置是否正确",
    ],
}
OUT_OF_SCOPE = {
    "en": [
        "What is the capital of Peru?",
        "How tall is Mount Everest?",
        "What is the best recipe for apple pie?",
        "Who won the world cup in 2018?",
        "How do I change the oil in my car?",
        "What is my account balance?",
        "Can I get a refund for my order?",
        "What are your shipping rates to Canada?",
        "How do I train for a marathon?",
        "What time does the museum open?",
        "Is it going to rain tomorrow?",
        "Which stock should I buy?",
        "How do I reset my router?",
        "Do you offer student discounts?",
        "How many calories are in a banana?",
    ],
    "zh": [
        "秘鲁的首都是哪里？",
        "珠穆朗玛峰有多高？",
        "红烧肉怎么做？",
        "明天会下雨吗？",
        "我的订单什么时候发货？",
        "可以退款吗？",
        "怎么学好英语？",
        "世界杯冠军是谁？",
        "北京到上海的高铁要多久？",
        "推荐一部好看的电影",
        "怎么减肥最快？",
        "你们有学生优惠吗？",
        "如何办理护照？",
        "股票应该买哪只？",
        "苹果手机电池怎么更换？",
    ],
}


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder()


def manual() -> dict[str, str]:
    return {
        f"{path.parent.name}/{path.name}": path.read_text(encoding="utf-8")
        for path in sorted(KNOWLEDGE.glob("*/*.md"))
    }


async def ask(base: Base, text: str) -> Answer:
    _, answer = await base.librarian.look(Question(text=text))
    return answer


@pytest.mark.torch
@pytest.mark.timeout(300)
async def test_the_manual_answers_what_it_is_about_and_nothing_else(
    database: Database, embedder: SentenceEmbedder
) -> None:
    """In both languages: the two questions of the front page are answered, most others are
    answered or offered, and not one of those it says nothing about is answered."""
    async with open_base(database, manual(), embedder=embedder, calibrate=True) as base:
        hand_back = await ask(base, "How do I hand a conversation back to the bot?")
        person = await ask(base, "如何转人工?")
        peru = await ask(base, "What is the capital of Peru?")
        known = {
            language: [(await ask(base, text)).decision.action for text in texts]
            for language, texts in IN_SCOPE.items()
        }
        unknown = {
            text: (await ask(base, text)).decision.action
            for texts in OUT_OF_SCOPE.values()
            for text in texts
        }

    assert hand_back.decision.action == "answer"
    assert hand_back.citations[0].source == "en/hand-back-and-resolve.md"
    assert person.decision.action == "answer"
    assert person.citations[0].source == "zh/talk-to-a-person.md"
    assert peru.decision.reasons[0] in ("far_out_of_scope", "no_passage")
    assert [text for text, action in unknown.items() if action == "answer"] == []
    for actions in known.values():
        assert actions.count("answer") >= 7
        assert actions.count("decline") <= 3
