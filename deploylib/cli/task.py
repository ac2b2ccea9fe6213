"""Make a task of invoke of each command.

Common flags, a session, one printed result and one exit code. Imports nothing heavy, so that ``inv --list`` stays quick.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from invoke.context import Context
from invoke.exceptions import ParseError
from invoke.parser.argument import Argument
from invoke.tasks import Task, task

from deploylib.errors import DeployError, SettingsError

__all__ = ["COMMON", "command"]

# The command line of httpx, with all that it draws by, is a fifth of what a command of ours has to read.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # how Python is told: not here

FLAGS: dict[str, tuple[Any, str]] = {
    "environment": ("local", "where: local (default), or one of your settings"),
    "to": ("production", "where it is brought"),
    "service": (None, "only this service; may be given several times"),
    "commit": ("", "release this commit instead of what is checked out"),
    "skip": (None, "leave this gate out in an emergency: tests, scan"),
    "reason": ("", "why, with --skip; it is recorded and told"),
    "wait": (
        "",
        "for another run, or somebody's deploy, to end, such as 10m; default: not at all, in CI for a run as long as deadline says",
    ),
    "dry_run": (False, "say what would be done; send no write"),
    "verbose": (False, "show every line that builds and programs write"),
    "json": (False, "print the result as JSON"),
    "debug": (False, "show tracebacks"),
}
FIRST, LAST = (
    ("environment", "to", "service", "commit"),
    ("skip", "reason", "wait", "dry_run", "verbose", "json", "debug"),
)
COMMON = ("environment", "json", "debug")
SEVERAL = {
    "service": "services",
    "skip": "skip",
}  # flags that may be given several times, and what the library calls them


def command(
    *flags: str,
    name: str = "",
    default: bool = False,
    common: Sequence[str] = COMMON,
    target: str = "environment",
    positional: Sequence[str] = (),
    instead: Mapping[str, str] = MappingProxyType({}),
    optional: bool = False,
    show: str = "",
    texts: Mapping[str, str] = MappingProxyType({}),
    **more: str,
) -> Callable[[Callable[..., Any]], Task[Any]]:
    """Make a task of a function of an environment and its flags.

    What the function returns is printed.

    Args:
        flags: those of `FLAGS` that it takes besides its own parameters.
        name: of the task, where the function has another one.
        default: it is what its group does.
        common: flags that it has for the printing and the place.
        target: the flag that names the environment; where it is none of them, that is ``local``.
        positional: flags that may be given without their name.
        instead: of a positional flag, another one with which it need not be given.
        optional: no positional flag need be given.
        show: the rendering of what is returned, where that is neither report nor scan.
        texts: the help of its own flags, and of those of which it differs from the usual.
        more: the same, where the flag's name is no other parameter's.
    """

    def decorate(body: Callable[..., Any]) -> Task[Any]:
        own = {each.name: each for each in list(inspect.signature(body).parameters.values())[1:]}
        own = {key: each for key, each in own.items() if each.kind is not each.VAR_KEYWORD}
        shared = {
            key: inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=FLAGS[key][0])
            for key in (*common, *flags)
        }
        shared = {key: each for key, each in shared.items() if key not in own}
        chosen = {**shared, **{key: each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for key, each in own.items()}}
        several = {key: SEVERAL[key] for key in SEVERAL if key in shared}
        inner = [key for key in own if key not in {*FIRST, *LAST}]
        order = [key for key in (*FIRST, *inner, *LAST) if key in chosen]

        @functools.wraps(body)
        def run(c: Context, **given: Any) -> None:
            json, debug = given.pop("json", False), given.pop("debug", False)
            environment = given.pop(target, "local")
            blank = _find_blank({target: environment, **given})
            if isinstance(reason := given.get("reason"), str):
                given["reason"] = " ".join(
                    reason.split()
                )  # pasted with line ends, it would break each list that it stands in
            options = {
                several.get(key, key): _split(value) if key in several else value for key, value in given.items()
            }
            try:
                if blank:
                    raise SettingsError(
                        f"{blank} is empty: a variable that is not set?", remedy=f"set it, or leave {blank} out"
                    )
                _refuse_unreadable({target: environment, **given})
                if c.config.run.dry:
                    raise SettingsError("inv --dry does not make a dry run", remedy="inv deploy --dry-run")
                _call(body, environment, options, show=show, json=json)
            except DeployError as error:
                if debug:
                    raise
                from deploylib.cli import session as cli_session

                cli_session.fail(error, _readable(environment, "local"), json=json)

        context = inspect.Parameter("c", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        run.__signature__ = inspect.Signature([context, *(chosen[key] for key in order)])  # type: ignore[attr-defined]
        helps = {key: FLAGS[key][1] for key in shared} | dict(texts) | more
        return task(  # type: ignore[return-value] # invoke says that it may be a decorator
            run,
            klass=functools.partial(_Task, instead=dict(instead), optional=optional),
            name=name or body.__name__,
            default=default,
            iterable=list(several),
            positional=list(positional),
            help={key.strip("_").replace("_", "-"): text for key, text in helps.items()},
        )

    return decorate


class _Task(Task[Any]):
    """A task whose positional arguments another flag may replace."""

    def __init__(self, *args: Any, instead: Mapping[str, str], optional: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self._instead, self._optional = instead, optional

    def get_arguments(self, *args: Any, **options: Any) -> list[Argument]:
        """Return the arguments.

        One that may be left out has a value as soon as the other flag was given.
        """
        texts = dict(self.help)  # invoke takes out each text that it gives: who asks again would get none
        arguments = [
            argument if argument.positional else _Flag.of(argument)
            for argument in super().get_arguments(*args, **options)
        ]
        self.help = texts
        named = {argument.name: argument for argument in arguments}
        return [
            _Positional(
                named.get(self._instead.get(argument.name or "", "")),
                optional=self._optional,
                names=argument.names,
                help=argument.help,
            )
            if argument.positional
            else argument
            for argument in arguments
        ]


class _Blank(str):
    """A text without a word that was really given."""

    __slots__ = ()


class _Flag(Argument):
    """A flag that tells an empty text from none.

    Its default may do more than was meant.
    """

    @classmethod
    def of(cls, argument: Argument) -> _Flag:
        """Make one of what invoke has made."""
        return cls(
            names=argument.names,
            kind=argument.kind,
            default=argument.default,
            help=argument.help,
            optional=argument.optional,
            incrementable=argument.incrementable,
            attr_name=argument.attr_name,
        )

    def set_value(self, value: Any, cast: bool = True) -> None:  # noqa: FBT001, FBT002 - it is invoke's
        """Take what was given."""
        if isinstance(value, str) and not value.replace(",", " ").strip():
            super().set_value(_Blank(value), cast=self.kind is list)
        else:
            super().set_value(value, cast=cast)


class _Positional(Argument):
    """A positional argument.

    It takes no flag, and need not be given where another one is, or never.
    """

    def __init__(self, unless: Argument | None, *, optional: bool, **options: Any) -> None:
        super().__init__(**options, positional=True)
        self._unless, self.may_be_left_out = unless, optional

    @property
    def value(self) -> Any:
        """What was given; empty: the other flag was."""
        return "" if self._value is None and self._unless and self._unless.value else super().value

    @value.setter
    def value(self, given: str) -> None:
        if given.startswith("-"):  # invoke gives it whatever comes next, a mistyped flag, too
            raise ParseError(f"No idea what {given!r} is! {self.name} does not begin with a dash")
        self.set_value(given)


def _call(body: Callable[..., Any], environment: str, options: dict[str, Any], *, show: str, json: bool) -> None:
    """Call a task in a session, and print its result."""
    from deploylib.cli import session as cli_session

    looking = body.__name__ == "check" or bool(options.get("status"))  # they need no store
    verbose, tells = options.pop("verbose", False), not (looking or options.get("dry_run"))
    with cli_session.session(environment, looking=looking, tells=tells, verbose=verbose) as env:
        value = body(env, **options)
        if isinstance(value, Iterator):  # it goes on while the session does
            cli_session.tell_as_they_come(value, json=json)
            return
    cli_session.print_result(value, env, show, options, json=json)


def _find_blank(given: Mapping[str, Any]) -> str:
    """Find a flag whose text is empty; empty: there is none."""
    for flag, value in given.items():
        if any(isinstance(text, _Blank) for text in (value if isinstance(value, list) else [value])):
            return f"--{flag.strip('_').replace('_', '-')}"
    return ""


def _refuse_unreadable(given: Mapping[str, Any]) -> None:
    """Refuse a text that is no UTF-8: it could not be recorded.

    Raises:
        SettingsError: which flag has it.
    """
    for flag, value in given.items():
        for text in [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else ():
            if _readable(text, "") != text:
                shown = text.encode(errors="backslashreplace").decode()
                raise SettingsError(
                    f"--{flag.strip('_').replace('_', '-')}: {shown} is no UTF-8",
                    remedy="type it in a terminal of UTF-8 (locale says which it is), or with plain letters",
                )


def _readable(text: str, otherwise: str) -> str:
    """Take a text, where its bytes were UTF-8."""
    return text if text.encode(errors="ignore").decode() == text else otherwise


def _split(given: Sequence[str] | None) -> tuple[str, ...]:
    """Take ``--skip tests,scan`` for ``--skip tests --skip scan``."""
    return tuple(word for text in given or () for word in text.replace(",", " ").split())
