"""How invoke lists the tasks, gives help and tells of mistakes."""

from __future__ import annotations

import functools
from typing import Any

from invoke.exceptions import Exit, ParseError
from invoke.parser.parser import ParseMachine
from invoke.program import Program

__all__ = ["EVERYDAY", "leave_out_names", "tell_everyday_first", "tell_help_of_texts", "tell_mistakes"]

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


def tell_mistakes() -> None:
    """Tell what was mistyped, what is near it, and end as usage.

    invoke 3.0 ends with 1 (`Program.run`), and a number that is none is a traceback of it.
    """
    parse, clean_up, see = Program.parse_tasks, Program.parse_cleanup, ParseMachine.see_value
    if getattr(parse, "mistakes_told", False):
        return

    @functools.wraps(parse)  # with what says that help is told, or that would be done anew
    def mistakes_told(self: Program) -> None:
        try:
            parse(self)
        except ParseError as error:
            raise _usage(error, self) from error

    def words_told(self: Program) -> None:
        try:
            clean_up(self)
        except (ParseError, Exit) as error:
            raise error if isinstance(error, Exit) and not error.message else _usage(error, self) from error

    def number_told(self: ParseMachine, value: str) -> None:
        try:
            see(self, value)
        except ValueError as error:
            raise ParseError(
                f"--{getattr(self.flag, 'name', '')} takes a number, not {value!r}", self.context
            ) from error

    mistakes_told.mistakes_told = True  # type: ignore[attr-defined]
    Program.parse_tasks = mistakes_told  # type: ignore[method-assign]
    Program.parse_cleanup = words_told  # type: ignore[method-assign]
    ParseMachine.see_value = number_told  # type: ignore[method-assign]


def _usage(error: ParseError | Exit, program: Program) -> Exit:
    from deploylib.cli.mistyped import usage

    return usage(error, program)
