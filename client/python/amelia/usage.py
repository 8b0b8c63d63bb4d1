"""What a call of a model used, from the usage objects of OpenAI and Anthropic.

Which number goes to which argument of record_usage():

    argument                  chat completions                            Responses                               Anthropic
    input_tokens              prompt_tokens                               input_tokens                            input_tokens
    output_tokens             completion_tokens                           output_tokens                           output_tokens
    cache_read_tokens         prompt_tokens_details.cached_tokens         input_tokens_details.cached_tokens      cache_read_input_tokens
    cache_creation_tokens     0                                           0                                       cache_creation_input_tokens
    cache_creation_1h_tokens  0                                           0                                       cache_creation.ephemeral_1h_input_tokens
    reasoning_tokens          completion_tokens_details.reasoning_tokens  output_tokens_details.reasoning_tokens  0
    input_audio_tokens        prompt_tokens_details.audio_tokens          0                                       0
    output_audio_tokens       completion_tokens_details.audio_tokens      0                                       0
    service_tier              the answer's service_tier                   the answer's service_tier               service_tier
    input_includes_cached     true                                        true                                    false

LangChain's usage_metadata, which is all that a graph of LangGraph's has, is read like
Responses: input_tokens, output_tokens, input_token_details.cache_read, .cache_creation,
.ephemeral_1h_input_tokens, .audio, output_token_details.reasoning, .audio; its input
has the cached tokens in it, whoever the provider is.

The first four are stored as they are reported: OpenAI's input has the cached tokens in
it, Anthropic's has not. input_includes_cached says so to the price, so that none is
charged twice; it and the others are for the price alone, and not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Usage:
    """Tokens, as record_usage() takes them. model: as the answer names it, or None.
    input_includes_cached None: as the price of the model says."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_creation_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    service_tier: str | None = None
    input_includes_cached: bool | None = None
    model: str | None = None


def read_usage(used: Any) -> Usage:
    """Takes an answer that has a usage, or the usage itself, as a dict or as an object
    with attributes: of OpenAI's chat completions, of its Responses, or of Anthropic's
    Messages; of LangChain's messages; and what others report in one of these forms. Of
    a stream, give the last one: they count from the beginning. Raises ValueError where
    it is none of them, TypeError where a number is none."""
    answer = None
    usage = used
    for name in ("usage", "usage_metadata"):
        if _get(used, name) is not None:
            answer, usage = used, _get(used, name)
    model = _text(answer, "model") or _text(_get(answer, "response_metadata"), "model_name")
    tier = _text(usage, "service_tier") or _text(answer, "service_tier")
    # What was asked for, or a tier that is paid for in advance: no price of its own.
    if tier in ("auto", "scale"):
        tier = None

    if _get(usage, "prompt_tokens") is not None:
        return Usage(
            input_tokens=_number(usage, "prompt_tokens"),
            output_tokens=_number(usage, "completion_tokens"),
            cache_read_tokens=_number(usage, "prompt_tokens_details", "cached_tokens"),
            reasoning_tokens=_number(usage, "completion_tokens_details", "reasoning_tokens"),
            input_audio_tokens=_number(usage, "prompt_tokens_details", "audio_tokens"),
            output_audio_tokens=_number(usage, "completion_tokens_details", "audio_tokens"),
            service_tier=tier,
            input_includes_cached=True,
            model=model,
        )
    if _get(usage, "input_tokens") is None or _get(usage, "output_tokens") is None:
        raise ValueError(f"no usage of OpenAI's or Anthropic's: {used!r:.200}")
    if _get(usage, "input_tokens_details") is not None:
        return Usage(
            input_tokens=_number(usage, "input_tokens"),
            output_tokens=_number(usage, "output_tokens"),
            cache_read_tokens=_number(usage, "input_tokens_details", "cached_tokens"),
            reasoning_tokens=_number(usage, "output_tokens_details", "reasoning_tokens"),
            service_tier=tier,
            input_includes_cached=True,
            model=model,
        )
    if _get(usage, "input_token_details") is not None:
        if _get(_get(usage, "input_token_details"), "cached_tokens") is not None:
            raise ValueError("the Realtime API's usage is not read: its cached tokens are sound and text")
        return Usage(
            input_tokens=_number(usage, "input_tokens"),
            output_tokens=_number(usage, "output_tokens"),
            cache_read_tokens=_number(usage, "input_token_details", "cache_read"),
            cache_creation_tokens=_number(usage, "input_token_details", "cache_creation"),
            cache_creation_1h_tokens=_number(usage, "input_token_details", "ephemeral_1h_input_tokens"),
            reasoning_tokens=_number(usage, "output_token_details", "reasoning"),
            input_audio_tokens=_number(usage, "input_token_details", "audio"),
            output_audio_tokens=_number(usage, "output_token_details", "audio"),
            service_tier=tier,
            input_includes_cached=True,
            model=model,
        )
    # Without a word about a cache nothing was cached, and both forms mean the same.
    return Usage(
        input_tokens=_number(usage, "input_tokens"),
        output_tokens=_number(usage, "output_tokens"),
        cache_read_tokens=_number(usage, "cache_read_input_tokens"),
        cache_creation_tokens=_number(usage, "cache_creation_input_tokens"),
        cache_creation_1h_tokens=_number(usage, "cache_creation", "ephemeral_1h_input_tokens"),
        service_tier=tier,
        input_includes_cached=False,
        model=model,
    )


def _get(of: Any, name: str) -> Any:
    if isinstance(of, Mapping):
        return of.get(name)
    return getattr(of, name, None)


def _text(of: Any, name: str) -> str | None:
    value = _get(of, name)
    return value if isinstance(value, str) else None


def _number(of: Any, *path: str) -> int:
    """0 where there is nothing."""
    value = of
    for name in path:
        value = _get(value, name)
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"{'.'.join(path)} is no whole number: {value!r:.100}")
