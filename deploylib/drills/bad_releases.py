"""Drills of a release that is live and should not be."""

from __future__ import annotations

from deploylib.drills import shop
from deploylib.drills.definition import Drill, DrillStep
from deploylib.drills.scene import Scene
from deploylib.errors import NotExamined, PersonNeeded

__all__ = ["BAD_RELEASE", "CRASH", "PARTIAL_FAILURE"]

TRIES, IN_A_ROW = 10, 5
REFUSES = shop.SERVER.replace("taken.append(name)", "taken.add(name)")
CRASHES = shop.SERVER.replace(
    "    taken.append(name)\n",
    "    taken.append(name)\n    if len(taken) == 3:\n"
    '        print("MemoryError: the cache of orders is full", flush=True)\n        os._exit(3)\n',
)
# It ends so late that the site is live by then, and has to be put back.
DOES_NOT_START = "import sys\nimport time\n\ntime.sleep(1.5)\nsys.exit(\"KeyError: 'PAYMENT_URL'\")\n"


def _refuse_orders(scene: Scene) -> None:
    scene.change("Orders are sorted", {"orders/server.py": REFUSES})
    scene.release()


def _is_back(scene: Scene) -> str:
    """Find what keeps the release before from serving again."""
    if not scene.serves(scene.good):
        return "the release before does not serve yet"
    if not all(scene.order(f"customer {number}") for number in range(IN_A_ROW)):
        return "orders are not taken"
    return scene.unrest


def _crash(scene: Scene) -> None:
    scene.change("Orders are kept in a cache", {"orders/server.py": CRASHES})
    scene.release()
    if all(scene.order(f"customer {number}") for number in range(TRIES)):
        raise NotExamined("the shop does not crash, so there is nothing to practise", remedy="the same again")


def _order(scene: Scene) -> None:
    """Order as a customer, whether the shop is there or not."""
    scene.order("a customer")


def _release_half(scene: Scene) -> None:
    scene.change("Payment by card", {"orders/server.py": DOES_NOT_START})
    scene.break_something("build-slow", service=shop.BACKEND, value="3")
    scene.break_something("answer-500", method="POST", path="/rollback$", next="0")
    scene.release(PersonNeeded.exit_code)
    scene.mend()


BAD_RELEASE = Drill(
    name="bad-release",
    learns="go back when the newest release is bad",
    minutes=5,
    section="The new release is bad",
    situation=(
        "A release went out a few minutes ago, and was verified. Now customers write that they cannot "
        "order anything any more."
    ),
    begin=_refuse_orders,
    find_fault=_is_back,
    meanwhile=_order,
    steps=(DrillStep("inv status"), DrillStep("inv rollback --reason 'orders are refused'"), DrillStep("inv verify")),
    cures=("rollback",),
)
CRASH = Drill(
    name="crash",
    learns="find out what comes and goes, and go back",
    minutes=10,
    section="Alert: uptime",
    situation=(
        "The release of this afternoon was verified and served well. Since then the shop is there, and "
        "gone, and there again. Find out what it is."
    ),
    begin=_crash,
    find_fault=_is_back,
    meanwhile=_order,
    steps=(
        DrillStep("inv status"),
        DrillStep("inv logs --service orders"),
        DrillStep("inv rollback --reason 'the cache of orders is full'"),
    ),
    cures=("rollback",),
)
PARTIAL_FAILURE = Drill(
    name="partial-failure",
    learns="bring back what could not be put back",
    minutes=10,
    section="A person is needed",
    situation=(
        "A release failed half way, and putting it back failed too: Render refused it just then. It ended"
        ' with exit code 20, "a person is needed". That is you.'
    ),
    begin=_release_half,
    find_fault=_is_back,
    steps=(DrillStep("inv status"), DrillStep("inv rollback --dry-run"), DrillStep("inv rollback")),
    cures=("rollback",),
)
