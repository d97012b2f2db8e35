"""The command line: one module a command; heavy packages are imported inside commands."""

from irplan.cli.app import main

__all__ = ["main"]
