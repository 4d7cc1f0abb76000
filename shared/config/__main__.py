"""Compose and store what SWITCHBOARD_* asks for; the path of the snapshot goes to standard output.

For a running host, which never loads Hydra itself: `python -m shared.config intake,support`.
"""

import sys

from shared.config.compose import ensure_snapshot
from shared.config.environment import Settings
from shared.errors import ConfigError


def main() -> int:
    settings = Settings.read()
    try:
        _, path = ensure_snapshot(
            sys.argv[1].split(","),
            settings.env,
            settings.overrides,
            store=settings.var / "snapshots",
            developer=settings.developer,
        )
    except ConfigError as err:
        sys.stderr.write(str(err))
        return err.exit_code
    sys.stdout.write(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
