"""Models that are asked: one behind a server, or one that is loaded here. Both answer the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from kinprint.errors import NotApplicable, ObservationError, SpentError
from kinprint.observation.budget import Budget
from kinprint.observation.questions import Answer, Question, number
from kinprint.observation.wire import ADDRESS, Wire, total_tokens

PARALLEL = 4
"""Requests to a server at once."""

MOST = 1e-3
"""A log-probability is not larger, but for rounding."""


class Suspect(Protocol):
    """A model that answers questions.

    Attributes:
        name: what it is called.
        where: URL of the server; empty of a local one.
        batch: how many questions it likes to be asked at once.
        budget: what may be spent on it.
    """

    name: str
    where: str
    batch: int
    budget: Budget

    def answer(self, questions: Sequence[Question]) -> list[Answer | None]:
        """The answers in order; None where the budget did not allow the question.

        Raises:
            ObservationError: it cannot be reached or run, or answers with something else.
            NotApplicable: it does not give what this kind of question asks for.
        """
        ...


class Served:
    """A model of an OpenAI-compatible server, asked by `/v1/completions`; by chat where the server has nothing else.

    Args:
        url: of the API, as `http://localhost:8000/v1`.
        model: what the server calls the model.
        timeout: seconds that one request may take.
        budget: what may be spent.
    """

    def __init__(self, url: str, model: str, timeout: float = 60.0, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self._wire = Wire(url, timeout, self.budget)
        self.name, self.where, self.batch = model, self._wire.url, 4 * PARALLEL
        self._echo: dict[str, Any] | None = None

    def answer(self, questions: Sequence[Question]) -> list[Answer | None]:
        ask = {"likelihood": self._likelihood, "writing": self._writing, "top": self._top}

        def one(question: Question) -> Answer | None:
            try:
                return ask[question.kind](question)
            except SpentError:
                return None

        if questions and questions[0].kind == "likelihood" and self._echo is None:
            first = one(questions[0])  # finds out how the server is to be asked
            return [first, *self.answer(questions[1:])] if len(questions) > 1 else [first]
        with ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(one, questions))

    def _post(self, content: dict[str, Any], most_tokens: int) -> dict[str, Any]:
        return self._wire.post("completions", {"model": self.name, **content}, most_tokens=most_tokens)

    def _likelihood(self, question: Question) -> Answer:
        """By an echoed prompt, as vLLM and llama-cpp-python give it, or by vLLM's `prompt_logprobs`."""
        if self._echo is not None:
            return self._echoed(question, self._echo)
        refused = "gives no log-probabilities of a text that it is given (`echo` with `logprobs`, or `prompt_logprobs`)"
        for form in ({"max_tokens": 0}, {"max_tokens": 1}, {"max_tokens": 1, "prompt_logprobs": 0}):
            more = {} if "prompt_logprobs" in form else {"echo": True, "logprobs": 1}
            try:
                found = self._echoed(question, form | more)
            except (ObservationError, NotApplicable) as error:
                if isinstance(error, ObservationError) and not any(f"HTTP {code}" in error.problem for code in (400, 404, 422)):
                    raise
                continue
            self._echo = form | more
            return found
        raise NotApplicable(refused)

    def _echoed(self, question: Question, form: dict[str, Any]) -> Answer:
        reply = self._post({"prompt": question.text, "temperature": 0, **form}, question.most_tokens)
        choice = _choice(self.where, reply)
        try:
            found = _of_prompt_logprobs(choice) if "prompt_logprobs" in form else _of_echo(choice, question.text)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ObservationError(self.where, "its answer holds no log-probabilities of the text", ADDRESS) from error
        if found is None:
            raise NotApplicable("does not give the log-probabilities of a text")
        return Answer(*found, model=_model(reply), tokens=total_tokens(reply) or len(found[0]) + 1)

    def _writing(self, question: Question) -> Answer:
        content: dict[str, Any] = {"max_tokens": question.count, "temperature": question.temperature}
        if question.seed is not None:
            content["seed"] = question.seed
        reply, text = self._text(question, content)
        return Answer(text=text, model=_model(reply), tokens=total_tokens(reply) or question.most_tokens)

    def _text(self, question: Question, content: dict[str, Any]) -> tuple[dict[str, Any], str]:
        reply = self._post({"prompt": question.text, **content}, question.most_tokens)
        text = _choice(self.where, reply).get("text")
        if not isinstance(text, str):
            raise ObservationError(self.where, "its answer is no completion", ADDRESS)
        return reply, text

    def _top(self, question: Question) -> Answer:
        content: dict[str, Any] = {"prompt": question.text, "max_tokens": 1, "temperature": 0, "logprobs": question.count}
        if question.bias:
            content["logit_bias"] = dict(question.bias)
        reply = self._post(content, question.most_tokens)
        try:
            top = _choice(self.where, reply)["logprobs"]["top_logprobs"][0]
            found = {str(token): number(value) for token, value in top.items()}
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise NotApplicable("gives no log-probabilities of likely tokens") from error
        return Answer(top=found, model=_model(reply), tokens=total_tokens(reply) or question.most_tokens)


def _choice(where: str, reply: dict[str, Any]) -> dict[str, Any]:
    try:
        choice = reply["choices"][0]
    except (KeyError, IndexError, TypeError):
        choice = None
    if not isinstance(choice, dict):
        raise ObservationError(where, "its answer is no completion", ADDRESS)
    return choice


def _model(reply: dict[str, Any]) -> str:
    name = reply.get("model")
    return name[:300] if isinstance(name, str) else ""


_Scored = tuple[tuple[float, ...], tuple[str, ...]]
"""Log-probabilities and what stands for their tokens."""


def _of_echo(choice: dict[str, Any], text: str) -> _Scored | None:
    """Of the tokens of `text`: those that begin before its end. None where there are none of them."""
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict) or not isinstance(choice["text"], str) or not choice["text"].startswith(text):
        return None
    values, offsets, pieces = logprobs["token_logprobs"], logprobs["text_offset"], logprobs["tokens"]
    each = zip(values, offsets, pieces, strict=True)
    return _scored([(value, str(piece)) for value, offset, piece in each if number(offset) < len(text)])


def _of_prompt_logprobs(choice: dict[str, Any]) -> _Scored | None:
    """The same from vLLM's list: for each token of the prompt a table in which the token itself stands first."""
    listed = choice.get("prompt_logprobs")
    if not listed:
        return None
    rows = [
        (None, "") if each is None else next((said["logprob"], str(token)) for token, said in each.items()) for each in listed
    ]
    return _scored(rows)


def _scored(given: list[tuple[Any, str]]) -> _Scored | None:
    """Without a first token that has no log-probability, as one with nothing before it."""
    kept = given[1:] if given and given[0][0] is None else given
    values = tuple(number(value) for value, _ in kept)
    if any(value > MOST for value in values):
        raise ValueError("no log-probabilities")
    return (values, tuple(piece for _, piece in kept)) if kept else None
