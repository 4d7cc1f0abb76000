"""Imported once in the forkserver: what a call would otherwise do for the first time before its first answer.

The modules are those that livekit, openai and httpx leave for the first use; a test keeps the list complete. They would block the loop
of a call that has just begun, and each job would hold a copy of its own.
"""

import importlib

import phonenumbers
from livekit.agents import llm, tokenize, utils
from livekit.local_inference import init_vad
from openai.pagination import AsyncPage
from openai.types import Model

from shared.config.environment import HostSettings
from shared.config.snapshot import load_snapshot
from shared.host.job import prompts_of
from shared.host.lineage import die_with_parent

LATE = (
    "anyio._backends._asyncio",
    "jiter",
    "livekit.agents.llm.async_toolset",
    "numpy.fft",
    "openai.lib.streaming.chat",
    "openai.pagination",
    "openai.resources.chat.chat",
    "openai.resources.chat.completions.completions",
    "openai.resources.chat.completions.messages",
    "openai.resources.models",
)
"""Left by their packages for the first use."""

die_with_parent()

for module in LATE:
    importlib.import_module(module)

# The first number of a country loads that country's rules.
phonenumbers.is_valid_number(phonenumbers.parse("+15105550123"))

# LiveKit's own warm-up would load its end-of-turn model along with the VAD; most conf needs the VAD alone.
init_vad()

# The transcript's pace goes by syllables; their rules are read with the first word.
tokenize.basic.hyphenate_word("preload")

# The first context reads the machine's certificates; LiveKit keeps it for all others.
utils.http_context._create_ssl_context()

# Compiling the templates takes 25 ms an agent, for a handoff in the middle of a call.
_snapshot = load_snapshot(HostSettings.read().snapshot)
for agent in _snapshot.variants:
    prompts_of(_snapshot, agent)

# The list of models is asked for while a session starts, to have the connection; its type is made at first use, and forgotten unused.
MODELS = AsyncPage[Model]

# pydantic finishes a model when it is first used.
llm.ChatContext.empty().add_message(role="user", content="")
llm.AgentConfigUpdate(instructions="")
