"""audit(): is a chain of checkpoints, from a random start to a release, one training and nobody else's?

`chain` reads what the owner states, `links` tests that neighbours are kin, `start` that the first shows no training, `drift`
measures how far the weights move from one to the next, `outsiders` looks for kin of both ends among other models; `findings` is
what all of it comes to.
"""

from kinprint.auditing.audit import audit_chain
from kinprint.auditing.chain import Stage, read_chain
from kinprint.auditing.findings import CANNOT_SHOW, FORMAT, Audit, AuditFinding

__all__ = ["CANNOT_SHOW", "FORMAT", "Audit", "AuditFinding", "Stage", "audit_chain", "read_chain"]
