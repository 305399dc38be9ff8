"""Promises of the settings: every malformed one is named, no secret is shown."""
