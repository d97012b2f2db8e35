"""Lines for the user: what went well, what did not and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from irplan.errors import IrplanError

Tone = Literal["plain", "good", "warning", "error"]
#: Older lines than so many are forgotten.
_KEPT = 200


@dataclass(frozen=True)
class Message:
    """A line for the user; ``remedy`` says what to do, where something is wrong."""

    tone: Tone
    text: str
    remedy: str = ""


class Messages:
    """What speaks to the user; ``told`` is called after every line."""

    messages: list[Message]

    def told(self) -> None:
        """A line was added."""
        raise NotImplementedError

    def say(self, text: str, tone: Tone = "plain", remedy: str = "") -> None:
        """A line for the user."""
        self.messages.append(Message(tone, text, remedy))
        del self.messages[:-_KEPT]
        self.told()

    def complain(self, error: IrplanError) -> None:
        """An error in words: field, what came, what was expected, what to do."""
        self.say(f"{error.field}: {error.got} (expected {error.expected})", "error", error.remedy)

    def attempt(self, action: Callable[[], Any]) -> bool:
        """Run a command of the user; an error becomes a message.  Whether it went well."""
        try:
            action()
        except IrplanError as error:
            self.complain(error)
            return False
        return True
