"""What the operator sees of running calls, without the callers' personal data."""
