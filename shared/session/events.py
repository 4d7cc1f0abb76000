"""What a session tells while it runs: into the record as it happens, faults to the guard."""

from __future__ import annotations

import json

from livekit import rtc
from livekit.agents import (
    AgentSession,
    APIStatusError,
    CloseEvent,
    CloseReason,
    ConversationItemAddedEvent,
    ErrorEvent,
    FunctionToolsExecutedEvent,
    ToolCallStarted,
    ToolExecutionUpdatedEvent,
    UserInputTranscribedEvent,
)
from livekit.agents.llm import LLMError
from livekit.agents.tts import TTSError

from shared.metadata.marks import texts
from shared.session.call import Call

AUTH_STATUS = (401, 402, 403)
"""A provider answers with these when it does not accept the key, or nobody pays for it."""


def follow(session: AgentSession[Call], call: Call) -> None:
    """Write each turn and each tool's answer to the record as it is final, and end the call on a fault that will not pass.

    What a tool is called with the caller has said: it is learned before the tool runs, so that no error of it tells.
    The caller's words come from `user_input_transcribed`: `conversation_item_added` misses turns that nobody answered.
    """

    def on_heard(event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript.strip():
            call.record.append("turn", role="caller", text=event.transcript.strip())

    def on_item(event: ConversationItemAddedEvent) -> None:
        item = event.item
        if item.type == "message" and item.role == "assistant" and item.text_content:
            call.record.append(
                "turn", role="agent", text=item.text_content, interrupted=item.interrupted
            )

    def on_tool_update(event: ToolExecutionUpdatedEvent) -> None:
        if isinstance(event.update, ToolCallStarted):
            started = event.update.function_call
            call.learn(*texts(json.loads(started.arguments or "{}")))
            seq = call.record.append(
                "tool_started",
                tool=started.name,
                tool_call=started.call_id,
                arguments=started.arguments,
            )
            call.tool_keys[started.call_id] = f"{call.id}.{call.record.attempt}.{seq}"

    def on_tools(event: FunctionToolsExecutedEvent) -> None:
        for done, answer in event.zipped():
            call.record.append(
                "tool_result",
                tool=done.name,
                tool_call=done.call_id,
                arguments=done.arguments,
                result=answer.output,
                is_error=answer.is_error,
            )

    def on_error(event: ErrorEvent) -> None:
        fault = event.error
        if getattr(fault, "recoverable", True) or call.outcome is not None:
            return
        cause = getattr(fault, "error", None)
        if isinstance(cause, APIStatusError) and cause.status_code in AUTH_STATUS:
            call.fail(session, "provider.auth", provider=slot(fault))

    def on_close(event: CloseEvent) -> None:
        if event.reason is CloseReason.ERROR:
            call.leave("failed", code="provider.failed")
        elif event.reason is CloseReason.PARTICIPANT_DISCONNECTED:
            call.leave("abandoned")

    def on_connected(_: rtc.RemoteParticipant) -> None:
        call.check_superseded()

    def on_disconnected(reason: rtc.DisconnectReason.ValueType) -> None:
        if reason == rtc.DisconnectReason.DUPLICATE_IDENTITY:
            call.supersede()

    call.ctx.room.on("participant_connected", on_connected)
    call.ctx.room.on("disconnected", on_disconnected)
    session.on("user_input_transcribed", on_heard)
    session.on("conversation_item_added", on_item)
    session.on("tool_execution_updated", on_tool_update)
    session.on("function_tools_executed", on_tools)
    session.on("error", on_error)
    session.on("close", on_close)


def slot(fault: object) -> str:
    """Which of the session's plugins failed: stt, llm or tts."""
    match fault:
        case TTSError():
            return "tts"
        case LLMError():
            return "llm"
        case _:
            return "stt"
