"""Judge what was seen: fit, unfit, or not measured.

One cause makes one row unfit; what follows from it could not be measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from deploylib.fitness import advice
from deploylib.fitness.instances import Instance
from deploylib.fitness.measurement import BACK_WITHIN, GOOD, Measured, Outage, ServiceSubject, Shutdown, uses_database
from deploylib.models.fitness import FitnessRow, FitVerdict, Question
from deploylib.models.units import count

__all__ = ["judge_connections", "judge_service"]

EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - what a program shall listen on
BROKEN = 500  # a status from here on is the program's own failure
MARGIN = 2.0  # seconds between the end of a program and the moment at which it would be killed
BY_SIGNAL = (
    143  # as a shell tells a program that SIGTERM has ended; also one that drains, and raises it again (uvicorn)
)
BUSY = 'busy = ["/path"], which asks the database'
NOT_REACHED = "SIGTERM does not reach the program"


def judge_service(subject: ServiceSubject, seen: Measured) -> tuple[FitnessRow, ...]:
    """Judge what was seen of a service by itself."""
    address = [_address(subject, seen)] if subject.has_address else []
    if seen.shutdown is None:
        kinds = [Question.SIGNAL, *([Question.FLIGHT, Question.EXIT, Question.IDLE] if address else [Question.EXIT])]
        asked = [*kinds, *([Question.DATABASE] if address and subject.uses_database else [])]
        return (*(_unmeasured(one, f"it did not start: {seen.trouble}", _logs(subject)) for one in asked), *address)
    signal = _signal(subject, seen.shutdown)
    if signal.fit is FitVerdict.UNFIT:
        kinds = [Question.FLIGHT, Question.EXIT, Question.IDLE] if address else [Question.EXIT]
        after = [_unmeasured(one, NOT_REACHED, "mend that first") for one in kinds]
    else:
        after = [_exit(subject, seen.shutdown)]
        if address:
            after = [_flight(subject, seen.shutdown), *after, _idle(subject, seen.shutdown)]
    return (signal, *after, *_database(subject, seen), *address)


def judge_connections(
    subject: ServiceSubject, seen: Measured, held: Mapping[str, int], limit: int | None, plan: str
) -> FitnessRow | None:
    """Judge whether two generations of all services fit the database.

    None: there is none that it uses.

    Where they do not, it is those that hold more than their share.

    Args:
        held: the connections that the instances of each service hold, by its name.
        limit: of the database's plan; None: not known.
    """
    if seen.burst is None or not uses_database(subject, seen.burst):
        return None
    burst, question = seen.burst, Question.CONNECTIONS
    each = f"{burst.held} under twenty requests to {_told(burst.paths)}"
    if not burst.held and not subject.busy:
        text = "no connection to a database was seen under twenty requests"
        return _unmeasured(question, text, advice.setting(subject, BUSY))
    if limit is None:
        return _unmeasured(question, f"{each}; what the plan {plan!r} allows is not known", "see its page at Render")
    own, twice = held.get(subject.name, 0), 2 * sum(held.values())
    sharing = [name for name, count in held.items() if count]
    of_all = " of all services" if len(sharing) > 1 else ""
    text = f"{each}; two generations{of_all} hold {twice}, and {plan} allows {limit}"
    share = limit // (2 * max(len(sharing), 1))
    if twice <= limit or own <= share:
        return FitnessRow(question=question, fit=FitVerdict.FIT, text=text)
    return _unfit(question, text, advice.change(question, subject, size=max(share // subject.instances, 1)))


def _signal(subject: ServiceSubject, shutdown: Shutdown) -> FitnessRow:
    question, before, ended = Question.SIGNAL, shutdown.before, shutdown.ended
    leader = before.programs[0].name if before.programs else "the start command"
    programs = _names(before)
    serving = {one.pid for one in before.servers}
    # What does not serve may end a moment later: the tracker of Python's multiprocessing does.
    cut = [one.name for one in ended.left if one.pid in serving or not serving]
    server = next((one.name for one in before.servers), next(iter(cut), ""))
    line = advice.change(question, subject, server=server)
    if cut:
        left = ", ".join(dict.fromkeys(cut))
        text = f"{leader} takes it and ends; {left}, which it had started, is killed in the middle of its work"
        return _unfit(question, text, line)
    apart = [one for one in before.servers if one.pid != before.pid]
    if ended.killed and serving and before.pid not in serving:
        if all(one.on_sigterm == "default" for one in apart):
            text = f"{leader} keeps it from {programs}, which would have ended at once, and was killed"
            return _unfit(question, text, line)
        text = f"{leader} stands between, and nobody can say whether {programs} got it: it was killed"
        return _unmeasured(question, text, line)
    own = before.pid in serving or len(before.programs) == 1
    text = f"{leader} gets it" if own else f"{leader} gets it, and {programs} ends with it"
    return FitnessRow(question=question, fit=FitVerdict.FIT, text=text)


def _names(instance: Instance) -> str:
    """Name the processes that serve."""
    return ", ".join(dict.fromkeys(one.name for one in instance.servers or instance.programs[1:])) or "the program"


def _flight(subject: ServiceSubject, shutdown: Shutdown) -> FitnessRow:
    question, flight, ended = Question.FLIGHT, shutdown.flight, shutdown.ended
    if not flight.line:
        if not ended.killed and all(one.on_sigterm == "default" for one in shutdown.before.programs):
            text = f"nothing handles SIGTERM: it ended {ended.seconds:.2f} s after it, and whatever is in flight is cut"
            return _unfit(question, text, advice.change(question, subject))
        slow = advice.setting(subject, 'slow = "/path", which takes a second or more, or "POST /path"')
        return _unmeasured(question, f"no request was in flight when SIGTERM came: {flight.why}", slow)
    if flight.line.startswith("GET ") and flight.status and flight.status not in GOOD:
        text = f"{flight.line} was in flight, and was answered {flight.status}, which is another answer than it gives"
        return _unfit(question, text, advice.change(question, subject))
    if flight.status >= BROKEN:
        text = f"{flight.line} was in flight, and was answered {flight.status}: nobody knows whether it always is"
        return _unmeasured(question, text, advice.setting(subject, 'slow = "/path", which takes a second or more'))
    if flight.status:
        text = f"{flight.line} was in flight, and was answered whole ({flight.status})"
        return FitnessRow(question=question, fit=FitVerdict.FIT, text=text)
    text = f"{flight.line} was in flight, and got no whole answer; the program ended after {ended.seconds:.1f} s"
    return _unfit(question, text, advice.change(question, subject))


def _exit(subject: ServiceSubject, shutdown: Shutdown) -> FitnessRow:
    question, ended = Question.EXIT, shutdown.ended
    if shutdown.released is not None and not ended.killed:
        text = f"it ended {ended.seconds - shutdown.released:.1f} s after its idle connections were closed from outside"
        return _unmeasured(question, text, "mend that first")
    if ended.killed:
        text = f"it had not ended {ended.seconds:.0f} s after SIGTERM, and was killed"
        return _unfit(question, text, advice.change(question, subject))
    text = f"exit code {ended.code} after {ended.seconds:.1f} s of {subject.drain:.0f}"
    if ended.code not in {0, BY_SIGNAL}:
        return _unfit(
            question, f"{text}: that is a failure, at each release", advice.change(question, subject, code=ended.code)
        )
    if ended.seconds > subject.drain - min(MARGIN, subject.drain / 5):
        return _unfit(question, f"{text}: almost killed", advice.change(question, subject))
    return FitnessRow(question=question, fit=FitVerdict.FIT, text=text)


def _idle(subject: ServiceSubject, shutdown: Shutdown) -> FitnessRow:
    question, ended = Question.IDLE, shutdown.ended
    of = count(shutdown.idle, "idle connection")
    if not shutdown.idle:
        return FitnessRow(question=question, fit=FitVerdict.FIT, text="no connection was left open by then")
    if shutdown.released is not None and not ended.killed:
        text = (
            f"{of} held it: after {shutdown.released:.0f} s it had closed none of the last, and at Render it is killed"
        )
        return _unfit(question, text, advice.change(question, subject))
    if ended.killed and shutdown.closed is None:
        return _unmeasured(question, f"{of} stayed open, and it did not end without them either", "mend its exit first")
    return FitnessRow(
        question=question,
        fit=FitVerdict.FIT,
        text=f"{of} closed after {ended.seconds if shutdown.closed is None else shutdown.closed:.1f} s",
    )


def _database(subject: ServiceSubject, seen: Measured) -> tuple[FitnessRow, ...]:
    if not (subject.has_address and uses_database(subject, seen.burst)):
        return ()
    question, outage = Question.DATABASE, seen.outage
    if outage is None:
        return (_unmeasured(question, f"it did not start again: {seen.trouble}", _logs(subject)),)
    return (_of_outage(subject, outage),)


def _of_outage(subject: ServiceSubject, outage: Outage) -> FitnessRow:
    question, path = Question.DATABASE, subject.health_path or "its port"
    if outage.exit_code is not None:
        text = f"it ended with code {outage.exit_code} when Postgres stopped: every instance does that at once"
        return _unfit(question, text, advice.change(question, subject, code=outage.exit_code))
    if bad := [status for status in outage.health if status not in GOOD]:
        answered = f"answered {bad[0]}" if bad[0] else "did not answer within 5 s"
        text = f"{path} {answered} while Postgres was stopped: Render restarts every instance for that"
        return _unfit(question, text, advice.change(question, subject))
    if outage.back is None:
        text = f"{_told(outage.asked) or path} had not answered as before {BACK_WITHIN:.0f} s after Postgres was back"
        return _unfit(question, text, advice.change(question, subject, back=True))
    text = f"{path} answered well while Postgres was stopped"
    if not outage.asked and subject.health_path not in subject.busy:
        text = f"{text}; whether it finds its database again was not asked"
        return _unmeasured(question, text, advice.setting(subject, BUSY))
    text = f"{text}, and {_told(outage.asked) or path} as before {outage.back:.1f} s after it was back"
    return FitnessRow(question=question, fit=FitVerdict.FIT, text=text)


def _told(paths: tuple[str, ...]) -> str:
    """Write paths without their queries, which may be secrets."""
    return " and ".join(dict.fromkeys(path.partition("?")[0] for path in paths))


def _address(subject: ServiceSubject, seen: Measured) -> FitnessRow:
    question = Question.ADDRESS
    instance = seen.started or next(iter(seen.failed), None)
    if instance is None or not instance.ports:
        why = seen.trouble or "it listens nowhere"
        return _unmeasured(question, f"it was not seen listening: {why}", _logs(subject))
    if not instance.addresses:
        ports = ", ".join(map(str, instance.ports))
        return _unfit(question, f"it listens on port {ports}, and not on $PORT", advice.change(question, subject))
    where = set(instance.addresses)
    places = " and ".join(sorted(where))
    if where & EVERYWHERE:
        return FitnessRow(question=question, fit=FitVerdict.FIT, text=f"it listens on {places}, at $PORT")
    if instance.host not in where:
        return _unfit(
            question, f"it listens on {places} alone, where Render does not reach it", advice.change(question, subject)
        )
    other = set(seen.without_host or ())
    if seen.without_host is None or other & EVERYWHERE or "gunicorn" in subject.start_command:
        return FitnessRow(question=question, fit=FitVerdict.FIT, text="it listens where it is told, at $PORT")
    if not other:
        return _unmeasured(question, "without HOST, which Render does not set, it does not start", _logs(subject))
    text = f"without HOST, which Render does not set, it listens on {' and '.join(sorted(other))} alone"
    return _unfit(question, text, advice.change(question, subject))


def _unfit(question: Question, text: str, remedy: str) -> FitnessRow:
    return FitnessRow(question=question, fit=FitVerdict.UNFIT, text=text, remedy=remedy)


def _unmeasured(question: Question, text: str, remedy: str) -> FitnessRow:
    return FitnessRow(question=question, fit=FitVerdict.UNMEASURED, text=text, remedy=remedy)


def _logs(subject: ServiceSubject) -> str:
    return f"inv local.up, inv deploy --service {subject.name}, inv local.logs --service {subject.name}"
