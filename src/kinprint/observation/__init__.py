"""Runs models on a probe set: what they do becomes traits of their fingerprints.

`probe` is what they are asked; `running` runs a checkpoint through transformers and `endpoint` asks a server; `answers` and
`hidden` make traits of what comes back; `observe` puts all of it together. Needs the extra `behaviour`, an endpoint does not.
"""

from kinprint.observation.observe import Request, observe, observe_endpoint
from kinprint.observation.probe import Probe, read_texts, shipped

__all__ = ["Probe", "Request", "observe", "observe_endpoint", "read_texts", "shipped"]
