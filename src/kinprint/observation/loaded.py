"""A model that is run here by transformers and answers like one behind a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kinprint.checkpoints.remote import hub
from kinprint.errors import SpentError
from kinprint.observation.budget import Budget
from kinprint.observation.questions import Answer, Question
from kinprint.observation.running import Runner
from kinprint.observation.sampling import written


class Loaded:
    """A checkpoint with its tokenizer, asked as `kinprint.observation.suspects.Suspect`.

    Args:
        model: a folder or a hub id, `org/name@revision` for a revision of it.
        device, dtype, memory: as of `Runner`.
        batch: texts at a time.
        longest: tokens of a text that are read at most.
        budget: what may be spent.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ObservationError: it cannot be loaded without running code of it, or has no tokenizer.
    """

    where = ""

    def __init__(
        self,
        model: str,
        *,
        device: str = "cpu",
        dtype: str = "auto",
        batch: int = 32,
        longest: int = 1 << 20,
        memory: str = "",
        budget: Budget | None = None,
    ) -> None:
        place, _, revision = model.partition("@") if hub.means_repository(model) else (model, "", "")
        self.runner = Runner(place, revision=revision or None, device=device, dtype=dtype, longest=longest, memory=memory)
        self.name, self.batch, self.budget = model, batch, budget or Budget()

    def answer(self, questions: Sequence[Question]) -> list[Answer | None]:
        """The answers in order; None where the budget did not allow the question."""
        allowed = [question for question in questions if self._allowed(question)]
        found: dict[int, Answer] = {}
        for kind, ask in (("likelihood", self._likelihoods), ("writing", self._writings), ("top", self._tops)):
            chosen = [question for question in allowed if question.kind == kind]
            found |= {id(question): answer for question, answer in zip(chosen, ask(chosen), strict=True)}
        return [found.get(id(question)) for question in questions]

    def _allowed(self, question: Question) -> bool:
        try:
            self.budget.reserve(question.most_tokens)
        except SpentError:
            return False
        return True

    def _settled(self, question: Question, answer: Answer) -> Answer:
        self.budget.settle(question.most_tokens, answer.tokens)
        return answer

    def _likelihoods(self, questions: list[Question]) -> list[Answer]:
        rows = self.runner.log_probabilities([question.text for question in questions], self.batch)
        pairs = zip(questions, rows, strict=True)
        return [
            self._settled(question, Answer(tuple(row), tuple(map(str, ids)), tokens=len(row) + 1))
            for question, (ids, row) in pairs
        ]

    def _writings(self, questions: list[Question]) -> list[Answer]:
        """Questions that begin alike are answered together, and those for one token that are left to no chance."""
        groups: dict[tuple[object, ...], list[Question]] = {}
        for question in questions:
            first = question.count == 1 and question.temperature <= 0
            key: tuple[object, ...] = ("first",) if first else (question.text, question.count, question.temperature)
            groups.setdefault(key, []).append(question)
        found: dict[int, Answer] = {}
        for key, members in groups.items():
            if key == ("first",):
                rows = self.runner.likeliest([question.text for question in members], self.batch)
            else:
                one = members[0]
                rows = written(self.runner, one.text, one.count, one.temperature, [question.seed for question in members])
            for question, row in zip(members, rows, strict=True):
                text = str(self.runner.tokenizer.decode(row, skip_special_tokens=True))
                read = len(self.runner.encoded(question.text))
                found[id(question)] = self._settled(question, Answer(text=text, tokens=read + len(row)))
        return [found[id(question)] for question in questions]

    def _tops(self, questions: list[Question]) -> list[Answer]:
        return [self._settled(question, self._top(question)) for question in questions]

    def _top(self, question: Question) -> Answer:
        torch, ids = self.runner.torch, self._ids(question)
        with torch.inference_mode():
            logits = self.runner.model(input_ids=ids, use_cache=False).logits[0, -1].float()
        logits = logits.clone()  # what inference mode made cannot be changed
        for token, added in question.bias.items():
            if int(token) < len(logits):
                logits[int(token)] += added
        best = logits.double().log_softmax(-1).topk(min(question.count, len(logits)))
        names = self.runner.tokenizer.convert_ids_to_tokens(best.indices.tolist())
        top = {str(name): float(value) for name, value in zip(names, best.values.tolist(), strict=True)}
        return Answer(top=top, tokens=int(ids.shape[1]) + 1)

    def _ids(self, question: Question) -> Any:
        return self.runner.torch.as_tensor([self.runner.encoded(question.text)], device=self.runner.model.device)
