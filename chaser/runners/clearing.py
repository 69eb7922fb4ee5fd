"""What a demand becomes by what is found out about its run, by an approval, and by other settings. Pure."""

from dataclasses import replace
from datetime import datetime

from chaser.runners.demand import Clearance, Demand, State, decided, settled
from chaser.runners.inbox import JobNews
from chaser.runners.rules import Cleared, Held, Turned, Verdict


def reconsidered(known: Demand, news: JobNews, at: datetime) -> Demand:
    """The demand as it is decided now, with other settings than before, while nothing is owed to it.

    Not where it was no setting that had refused it: GitHub shows the job no more, or it has had all its runners.
    """
    admitted = known.state is State.REFUSED and known.admitted
    if admitted or known.state not in {State.REFUSED, State.HELD, State.SCREENING}:
        return known
    told = settled(decided(known, news))
    return known if told == known else replace(told, changed_at=at)


def judged(demand: Demand, verdict: Verdict, at: datetime, *, approved: bool) -> Demand:
    """The demand once its run is known. A job that a runner has by now is judged too: the runner asks."""
    if demand.clearance is not Clearance.PENDING:
        return demand
    match verdict:
        case Cleared(profile):
            clear = Clearance.PASSED
            told = replace(demand, clearance=clear, message=None, profile=profile or demand.profile)
        case Turned(message):
            told = replace(demand, clearance=Clearance.REFUSED, message=message)
        case Held() if approved:
            told = replace(demand, clearance=Clearance.APPROVED, message=None)
        case Held(message):
            told = replace(demand, clearance=Clearance.HELD, message=message)
    return replace(settled(told), changed_at=at)


def looked_at_again(demand: Demand, at: datetime) -> Demand:
    """The demand whose held run somebody has approved: it is judged once more, by the rules of now."""
    if demand.clearance is not Clearance.HELD:
        return demand
    return replace(settled(replace(demand, clearance=Clearance.PENDING, message=None)), changed_at=at)
