"""Where to send a call before the small model is asked: a rule that can be read. Pure.

The rule is learnt on half of the calls and proven on the other half; halves are split by
session, so that no session is in both. A call goes to the candidate only from a leaf
whose harm is proven to be within tolerance, all leaves together with error probability
delta. The proof is of the rule as it was learnt: with more calls another rule may be learnt.
"""

from workbench.routing.certified import (
    LeafClaim,
    Routed,
    RoutingReport,
    WrongPath,
    features_of,
    learning_half,
    route,
)
from workbench.routing.tree import Condition, Tree, grow, in_words

__all__ = [
    "Condition",
    "LeafClaim",
    "Routed",
    "RoutingReport",
    "Tree",
    "WrongPath",
    "features_of",
    "grow",
    "in_words",
    "learning_half",
    "route",
]
