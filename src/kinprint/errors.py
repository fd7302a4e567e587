"""Every error kinprint raises on purpose, as one small tree:

    Exception
    ├── KinprintError           an input that cannot be used; catch it to catch all of these
    │   ├── CheckpointError     a checkpoint, or a file of it: missing, damaged, hostile, unknown format
    │   ├── ArchitectureError   tensors that fit no known architecture, or not the one the configuration names
    │   ├── FingerprintError    a `.kinprint` file or a set of traits that is damaged or does not follow the format
    │   ├── TransformError      a transform that does not apply, or whose result cannot be written
    │   ├── ZooError            a zoo or a list of labelled pairs: missing, damaged, incomplete
    │   ├── ProbeError          a list of probe texts: missing, damaged, empty
    │   ├── ObservationError    a model that cannot be run, or a server that does not answer
    │   ├── DifferenceError     two models between which there is no difference to show, because neither was made from the other
    │   ├── ChainError          a chain of checkpoints: missing, damaged, too short, out of order
    │   ├── LibraryError        a library: missing, damaged, of a newer version, not to be written
    │   ├── EngineError         work that cannot be done on the engine or the device that was asked for
    │   ├── ReportError         a report that cannot be written
    │   ├── UnknownError        a request to the server that names something that is not there (HTTP 404)
    │   ├── BusyError           more requests at once than the server takes (HTTP 429)
    │   └── MissingExtraError   a command that needs an optional part of kinprint
    ├── NotApplicable           a method has nothing to say about a pair; its evidence says why, nobody else sees it
    │   └── NotMeasured         a score lacks traits that are measured only where scores are asked for
    ├── SpentError              the budget of requests or tokens is used up; what asks models stops and says so
    ├── UnfitError              a document that is none of those that kinprint writes; its readers make it a CheckpointError
    ├── AbandonedError          bytes that were not fetched because others of one request could not be; nobody else sees it
    ├── WebError                an HTTP request that failed for good; callers of `checkpoints.remote` get a CheckpointError
    │   └── ChangedError        the file on the server is not the one whose first bytes were read
    └── ValueError
        └── PickleError         a pickle that holds more than tensors; callers of `checkpoints.formats` get a CheckpointError

Every message of a KinprintError names what was wrong with which input and what to do about it, on one line, so that the
command line prints it as it is.
"""

from __future__ import annotations


def printable(text: object, limit: int = 300) -> str:
    """One line of harmless text from an untrusted value: control characters escaped, length bounded."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


class KinprintError(Exception):
    """An input that cannot be used. `subject` names the input, `problem` says why, `remedy` what to do."""

    def __init__(self, subject: object, problem: str, remedy: str = "") -> None:
        self.subject, self.problem, self.remedy = printable(subject), printable(problem), printable(remedy)
        super().__init__(f"{self.subject}: {self.problem}" + (f"; {self.remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[type[KinprintError], tuple[str, str, str]]:
        return type(self), (self.subject, self.problem, self.remedy)  # so that it survives the way from a worker


class CheckpointError(KinprintError):
    """A checkpoint, or a file of it, is missing, damaged, hostile or of an unknown format."""


class ArchitectureError(KinprintError):
    """The tensors of a checkpoint fit no known architecture, or not the one its configuration names."""


class FingerprintError(KinprintError):
    """A `.kinprint` file or a set of traits is damaged or does not follow the format."""


class TransformError(KinprintError):
    """A transform does not apply to a model, or its result cannot be written."""


class ZooError(KinprintError):
    """A zoo, or a list of labelled pairs, is missing, damaged or incomplete."""


class ProbeError(KinprintError):
    """A list of texts that models shall be observed on is missing, damaged or empty."""


class ObservationError(KinprintError):
    """A model cannot be run, or a server does not answer."""


class MissingExtraError(KinprintError):
    """A command needs an optional part of kinprint that is not installed."""


class DifferenceError(KinprintError):
    """Between two models there is no difference to show: their weights do not answer each other."""


class ChainError(KinprintError):
    """A chain of checkpoints is missing, damaged, too short or out of order."""


class LibraryError(KinprintError):
    """A library of fingerprints is missing, damaged, of a newer version, or cannot be written."""


class EngineError(KinprintError):
    """Work on many models cannot be done where it was asked to be done."""


class ReportError(KinprintError):
    """A report cannot be written."""


class UnknownError(KinprintError):
    """A request to the server names something that is not there."""


class BusyError(KinprintError):
    """More requests came at once than the server takes."""


class NotApplicable(Exception):  # noqa: N818 - no error: the method says why it is silent
    """A method has nothing to say about a pair. The message is the reason, as a clause for people."""


class NotMeasured(NotApplicable):
    """A score has nothing to say because a model was measured without what it needs."""


class SpentError(Exception):
    """The budget of requests or tokens is used up. The message says which, as a clause."""


class UnfitError(Exception):
    """A document is none of those that kinprint writes. The message says why, as a clause."""


class AbandonedError(Exception):
    """A piece of a file was given up because another one could not be fetched."""


class WebError(Exception):
    """An HTTP request failed and is not tried again.

    Attributes:
        status: of the answer; None if there was none.
        code: X-Error-Code of a hub.
    """

    def __init__(self, problem: str, status: int | None = None, code: str = "") -> None:
        super().__init__(problem)
        self.status, self.code = status, code


class ChangedError(WebError):
    """The file on the server is not the one whose first bytes were read."""


class PickleError(ValueError):
    """A pickle holds more than tensors, or is damaged. The message says what of it is refused, as a clause."""
