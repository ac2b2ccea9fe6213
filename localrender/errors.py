"""The one exception a user of the program sees: what is wrong, and what to do next."""

from __future__ import annotations

UNEXPECTED, BAD_INPUT, PORT_IN_USE, NO_SPACE = 1, 2, 3, 4


class LocalRenderError(Exception):
    """Something the user has to know, with the next step.

    Args:
        message: What is wrong.
        remedy: The next command or action.
        code: A stable word for programs.
        exit_code: 2 bad input, 3 a port is in use, 4 no disk space, 1 anything else.
        details: What else is wrong.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str,
        code: str = "unexpected",
        exit_code: int = UNEXPECTED,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code
        self.exit_code = exit_code
        self.details = details


def bad_input(code: str, message: str, remedy: str, details: tuple[str, ...] = ()) -> LocalRenderError:
    """An error of the user's input: exit code 2."""
    return LocalRenderError(message, remedy=remedy, code=code, exit_code=BAD_INPUT, details=details)


class ApiError(Exception):
    """An answer of the API other than 2xx: `{"message": ...}` with a status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def not_found(what: str) -> ApiError:
    """The 404 of Render, in its own words (recorded: `{"message":"not found: <id>"}`)."""
    return ApiError(404, f"not found: {what}")
