"""The command line: one module a command; heavy packages are imported inside commands."""

import sys

from irplan.cli import interrupts


def main() -> None:
    """Run the command line (the ``irplan`` script)."""
    try:
        interrupts.listen()  # before anything that takes time to import
        from irplan.cli.app import app

        app()
    except (Exception, KeyboardInterrupt) as error:
        if not interrupts.behind(error):
            raise
        sys.stderr.write(f"{interrupts.CANCELLED}\n")
        sys.exit(interrupts.EXIT_CANCELLED)


__all__ = ["main"]
