"""Why a question is answered, offered for or declined, and what takes a decision back. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from rag.calibrate import Verdict
from rag.extract import Draft
from rag.retrieve import Found
from rag.types import Candidate, Decision, Evidence, Reason
from rag.values import unsupported

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


def taken_back(decision: Decision, reason: Reason) -> Decision:
    """A decision to answer or offer that writing could not keep."""
    return replace(decision, action="decline", reasons=(reason, *decision.reasons[1:]))


def faults_of(draft: Draft, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """What the draft says and no cited passage holds."""
    passages: dict[int, str] = {}
    for citation in draft.citations:
        held = [one.text for one in candidates if one.source == citation.source]
        passages[citation.n] = next((text for text in held if citation.quote in text), "")
    return unsupported(draft.text, draft.citations, passages)
