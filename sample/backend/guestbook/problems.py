"""Errors as the API tells them: one shape of JSON, whatever went wrong."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})


def answer_problem(_request: Request, error: Exception) -> Response:
    """Answer a request that raised Problem."""
    if not isinstance(error, Problem):
        raise error
    return _answer(error.status, error.message, error.fields, error.headers)


def answer_http(_request: Request, error: Exception) -> Response:
    """Answer what the router refuses: an unknown path (404), a method that a path does not have (405)."""
    if not isinstance(error, HTTPException):
        raise error
    return _answer(HTTPStatus(error.status_code), error.detail, {}, error.headers or {})


def answer_bug(_request: Request, _error: Exception) -> Response:
    """Answer what nobody expected, without its text: the log has it."""
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side.", {}, {})


def _answer(status: HTTPStatus, message: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    error = {"message": message, "fields": fields}
    return JSONResponse({"error": error}, status, headers={"Cache-Control": "no-store", **headers})
