"""How invoke lists the tasks, and where it is asked for help."""

from __future__ import annotations

from typing import Any

from invoke.parser.parser import ParseMachine
from invoke.program import Program

__all__ = ["EVERYDAY", "leave_out_names", "tell_everyday_first", "tell_help_of_texts"]

EVERYDAY = ("deploy", "check", "status", "logs", "rollback", "history", "backup.create (backup)", "finish")


def tell_everyday_first() -> None:
    """Have invoke list the everyday tasks before the others.

    It has no setting for that: `Program._make_pairs` of invoke 3.0 sorts by name, whatever a collection's own order.
    """
    plain = Program._make_pairs  # noqa: SLF001 - the only place where the order is decided
    if getattr(plain, "everyday_first", False):
        return

    def everyday_first(self: Program, *args: Any, **options: Any) -> Any:
        pairs = plain(self, *args, **options)
        return sorted(pairs, key=lambda pair: EVERYDAY.index(pair[0]) if pair[0] in EVERYDAY else len(EVERYDAY))

    everyday_first.everyday_first = True  # type: ignore[attr-defined]
    Program._make_pairs = everyday_first  # type: ignore[method-assign] # noqa: SLF001


def tell_help_of_texts() -> None:
    """Tell a task's help also where it takes a text.

    Of ``inv TASK --help``, invoke 3.0 would take ``--help`` for the text (`ParseMachine.handle` asks for positional arguments first).
    """
    plain = Program.parse_tasks
    if getattr(plain, "help_first", False):
        return

    def help_first(self: Program) -> None:
        unparsed = self.core.unparsed
        if len(unparsed) == 2 and unparsed[1] in {"--help", "-h"}:
            self.args["help"].value = unparsed[0]
            unparsed.clear()
        plain(self)

    help_first.help_first = True  # type: ignore[attr-defined]
    Program.parse_tasks = help_first  # type: ignore[method-assign]


def leave_out_names() -> None:
    """Let a positional argument be left out, where its task says so.

    invoke 3.0 requires each of them (`ParseMachine.complete_context`); one that was not given is empty by then.
    """
    plain = ParseMachine.complete_context
    if getattr(plain, "names_left_out", False):
        return

    def names_left_out(self: ParseMachine) -> None:
        for argument in getattr(self.context, "missing_positional_args", ()):
            if getattr(argument, "may_be_left_out", False):
                argument.set_value("")
        plain(self)

    names_left_out.names_left_out = True  # type: ignore[attr-defined]
    ParseMachine.complete_context = names_left_out  # type: ignore[method-assign]
