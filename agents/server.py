"""One agent for LiveKit's own command, where something else than `make run` starts processes.

SWITCHBOARD_AGENT=intake SWITCHBOARD_ENV=prod python -m livekit.agents start agents/server.py
"""

import sys

from shared.cli.run import prepare
from shared.config.environment import Settings, become
from shared.errors import ConfigError, SwitchboardError
from shared.host.start import agent_server

try:
    settings = Settings.read()
    if len(settings.agents) != 1:
        raise ConfigError("SWITCHBOARD_AGENT must name one agent, such as SWITCHBOARD_AGENT=intake")
    become(prepare(settings, settings.agents))
    server = agent_server(settings.agents[0])
except SwitchboardError as err:
    sys.stderr.write(f"{err}\n")
    sys.exit(err.exit_code)
