"""`switchboard check-config`: everything that is wrong with conf/, before a host or a call meets it."""

from __future__ import annotations

import json
import time
from pathlib import Path

from shared import registry
from shared.config.lint import lint
from shared.config.selection import CONF, environments
from shared.errors import ConfigError


def check_config(*, files_only: bool, as_json: bool, conf: Path = CONF) -> None:
    """Check and print what is found.

    Raises:
        ConfigError: There is a finding.
    """
    began = time.monotonic()
    configs = 0
    if files_only:
        findings = lint(conf)
    else:
        from shared.config.check import check

        report = check(conf, registry.names())
        findings, configs = list(report.findings), report.configs
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        said = [{"place": f.place, "code": f.code, "text": f.text} for f in findings]
        print(json.dumps({"configs": configs, "seconds": seconds, "findings": said}))
    else:
        for finding in findings:
            print(finding)
        if not findings and not files_only:
            names = ", ".join(environments(conf))
            print(
                f"{configs} configs of {', '.join(registry.names())} in {names}: all right, after {seconds} s"
            )
    if findings:
        raise ConfigError(f"conf: {len(findings)} to put right", code="config.findings")
