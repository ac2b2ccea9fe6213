"""A page with something of everything, for who looks at it: runs of every kind, two environments, words of many lengths."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from deploylib.dashboard import Fact, Panel, Serving, Site, State, figures
from tests.support.counted_store import CountedStore
from tests.support.fakes import START, FakeClock
from tests.support.told_runs import Teller

STORY = (
    "released",
    "released",
    "put back",
    "released",
    "nothing",
    "blocked",
    "released",
    "rolled back",
    "stuck",
    "released",
)
PEOPLE = ("Ada", "Grace", "Margaret")


def shown_site(built_at: datetime, *, public: bool = False) -> Site:
    """Make it, as of a moment."""
    clock = FakeClock((built_at - START).total_seconds() - timedelta(days=30).total_seconds())
    teller = Teller(CountedStore(), clock)
    for number in range(60):
        teller.author = PEOPLE[number % 3]
        clock.seconds += 36_000
        kind = "open" if number == 59 else STORY[number % len(STORY)]
        url = f"https://ci.example/runs/{number}" if number % 2 else ""
        subject = "Add paging" if number % 4 else "Say in a very long line of words why a price may be wrong on Sundays"
        teller.tell(kind, f"{number * 7919 + 4096:040x}"[::-1], subject=subject, seconds=60.0 + number, url=url)
    runs, _ = teller.history.read_summaries("production")
    ancestry = {run.commit.id: (run.at - timedelta(hours=5), ()) for run in runs}
    fates = figures.judge_failures(runs)
    live = next(run for run in runs if run.succeeded)
    panel = Panel(
        name="production",
        serving=(
            Serving(
                service="backend",
                commit=live.commit.id,
                state=State.PASS,
                health="answers 200 and names this commit",
                since=live.ended,
                by="Ada",
                url="https://shop.example",
            ),
            Serving(service="frontend", commit=live.commit.id, state=State.UNREACHABLE, health="no answer"),
            Serving(service="worker", commit="", health="not examined: it has no public address"),
        ),
        facts=(
            Fact(
                name="Waiting",
                text="2 commits up to 3f2a91c",
                of="the oldest",
                at=built_at - timedelta(hours=7),
                private="Ada (1), Grace (1)",
                lines=("3f2a91c Add paging (Ada)", "0c11d2e Tell the price (Grace)"),
            ),
            Fact(name="Can go back to", text="1b2c3d4 of run a1b2", at=built_at - timedelta(days=2)),
            Fact(name="Hold", text="refused: 8be0c44", state=State.WARN, lines=("8be0c44: prices are wrong (Grace)",)),
            Fact(name="Lease", text="free"),
            Fact(name="Alerts", text="not examined: nothing watches this environment", state=State.UNKNOWN),
        ),
        runs=runs[:50],
        unreadable=("20260301T120000-dead",),
        recovered={run.id: fates[run.id].seconds for run in runs[:50] if run.id in fates},
        figures=figures.figures(runs, ancestry, built_at),
    )
    quiet = msgspec.structs.replace(panel, name="staging", serving=panel.serving[:1], facts=panel.facts[3:])
    gone = Panel(name="preview", trouble="the bucket does not answer")
    return Site(product="shop", built_at=built_at, every=3600.0, public=public, panels=(panel, quiet, gone))
