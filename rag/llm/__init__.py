"""Language models behind `rag.ports.LanguageModel`: any OpenAI-compatible service, and the twin."""

from rag.llm.client import CallLimits, Endpoint, OpenAICompatible
from rag.llm.scripted import Scripted

__all__ = ["CallLimits", "Endpoint", "OpenAICompatible", "Scripted"]
