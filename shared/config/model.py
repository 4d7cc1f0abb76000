"""The shape of the composed config, checked when a snapshot is made: a misspelt key stops here, not in a call."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Endpointing(_Strict):
    mode: Literal["fixed", "dynamic"] = "fixed"
    min_delay: float = Field(ge=0, le=10)
    max_delay: float = Field(ge=0, le=30)


class Interruption(_Strict):
    enabled: bool | None = None
    mode: Literal["adaptive", "vad"] | None = None
    min_duration: float | None = Field(None, ge=0, le=10)
    min_words: int | None = Field(None, ge=0, le=20)


class PreemptiveGeneration(_Strict):
    enabled: bool
    preemptive_tts: bool = False


class Session(_Strict):
    turn_detection: Literal["stt", "vad", "inference"] | None
    endpointing: Endpointing
    interruption: Interruption
    preemptive_generation: PreemptiveGeneration
    user_away_timeout: float | None = Field(gt=0)


class Stack(_Strict):
    livekit: int = Field(ge=0, le=65535)
    media: int = Field(ge=0, le=65535)
    providers: int = Field(ge=0, le=65535)


class Server(_Strict):
    deployment: str = Field(pattern=r"^[A-Za-z0-9-]{0,64}$")
    max_jobs: int = Field(ge=1)
    load: Literal["cpu", "none"]
    load_threshold: float = Field(gt=0, le=1)
    port: int = Field(ge=0, le=65535)
    idle_processes: int = Field(ge=0, le=64)
    drain_timeout_s: int = Field(ge=1)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    log_json: bool
    stack: Stack


class Policy(_Strict):
    on_misfit: Literal["reject", "degrade"]
    allow: dict[str, Any]


class Root(_Strict):
    """Everything under conf/, composed."""

    developer: str
    stt: dict[str, Any]
    tts: dict[str, Any]
    llm: dict[str, Any]
    vad: dict[str, Any]
    session: Session
    server: Server
    policy: Policy
    endpoints: dict[str, str]
    handoffs: list[str]


def known_keys(path: list[str]) -> list[str]:
    """The keys that the model has at `path`."""
    model: Any = Root
    for part in path:
        model = model.model_fields[part].annotation
    return sorted(model.model_fields)
