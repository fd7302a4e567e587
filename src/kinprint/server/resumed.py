"""What a server that ended has left is begun again: each entry of the record is checked as the request that it stands for."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from kinprint.errors import BusyError
from kinprint.server.api import JobRequest, asked
from kinprint.server.service import Service

_REQUEST: TypeAdapter[JobRequest] = TypeAdapter(JobRequest)


def resume(service: Service) -> None:
    """Begin again what was not finished, under the ids that it had. What no client could have asked for is left out."""
    for entry in service.unfinished.left():
        try:
            job = service.again(entry, *asked(_REQUEST.validate_python(entry.request, strict=True)))
        except (ValidationError, BusyError):
            job = None
        if job is None or job.id != entry.id:  # or another one has the same work
            service.unfinished.ended(entry.id)
