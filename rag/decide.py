"""Why a question is answered, offered for or declined: the reasons of a verdict. Pure."""

from rag.calibrate import Verdict
from rag.retrieve import Found
from rag.types import Evidence, Reason

# Below this share of the question's terms nothing in the base is about it.
_TOPIC_KNOWN_MIN = 0.35
_TOPIC_NEAR_MIN = 0.45  # cosine from which the topic counts as known by its meaning
_LOOK_ALIKE_COVERAGE_MIN = 0.5
_RARE_TERM_MIN = 0.99  # the missing term is as rare as any of the question's


def reasons_of(verdict: Verdict, found: Found) -> tuple[Reason, ...]:
    """Why, the main reason first."""
    evidence = found.evidence
    reasons: list[Reason] = []
    if verdict.action == "answer":
        reasons.append(Reason.CONFIDENT)
    elif verdict.action == "suggest":
        reasons.append(Reason.BETWEEN)
    else:
        reasons.append(why_not(evidence))
    if verdict.action != "decline" and evidence.candidates[0].language != found.language:
        reasons.append(Reason.OTHER_LANGUAGE)
    if not found.vectors_used:
        reasons.append(Reason.KEYWORDS_ONLY)
    return tuple(reasons)


def why_not(evidence: Evidence) -> Reason:
    """Far away, near but without the passage, or a passage that only looks alike."""
    seen = evidence.features
    knows_topic = seen["coverage_any"] >= _TOPIC_KNOWN_MIN or seen["vector_top"] >= _TOPIC_NEAR_MIN
    if not knows_topic:
        return Reason.FAR_OUT_OF_SCOPE
    lacks_the_rare = seen["rarest_missing"] >= _RARE_TERM_MIN
    if lacks_the_rare and seen["coverage_top"] >= _LOOK_ALIKE_COVERAGE_MIN:
        return Reason.LOOK_ALIKE
    return Reason.NO_PASSAGE
