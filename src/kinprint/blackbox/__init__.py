"""Tests of models that only answer: behind an API, or run here. Each test is one file and gives a `BlackBoxResult`.

`asking` puts questions within a budget and keeps the answers, `control` repeats some of them to see whether the model that
answers is one model and means what it says, `result` is what a test comes to. Weights are not looked at, so the verdicts have
words of their own.
"""

from kinprint.blackbox.asking import Asker
from kinprint.blackbox.result import FORMAT, BlackBoxResult

__all__ = ["FORMAT", "Asker", "BlackBoxResult"]
