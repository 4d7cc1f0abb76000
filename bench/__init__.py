"""Switchboard beside a plain LiveKit worker, in one run on one machine."""
