"""Countdown: reach a target with every given number once, and a verifier that settles it.

The task of the chapter "Why entropy falls", small enough that all correct answers can be listed.
Numbers, operators and targets are token ids; values are plain integers without units.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from array_api_compat import array_namespace

from labutils._inputs import whole

SIGNS = "+-*"


@dataclass(frozen=True)
class Countdown:
    """Problems such as "2 3 7, target 27" with answers such as "2 + 7 * 3".

    A prompt is `numbers` integers from 1..largest and a target from 0..top; an answer is
    "n op n op n" with op one of + - *, evaluated from left to right ("2 + 7 * 3" is 27).
    Every integer 0..top is one token and every operator one more, so V = top + 4.

    Errors: ValueError when a setting is out of range.
    """

    numbers: int = 3
    largest: int = 9
    top: int = 60

    def __post_init__(self):
        for name, lowest in (("numbers", 2), ("largest", 1), ("top", self.largest)):
            whole(name, getattr(self, name), lowest)

    @property
    def vocabulary(self):
        """V: one token an integer 0..top, then + - *."""
        return self.top + 1 + len(SIGNS)

    @property
    def prompt_length(self):
        return self.numbers + 1

    @property
    def answer_length(self):
        return 2 * self.numbers - 1

    def evaluate(self, answers):
        """Values of answers [..., 2n-1], from left to right, and whether each is well formed.

        Returns (value [...], well_formed [...]); the value of a malformed answer means nothing.
        """
        xp = array_namespace(answers)
        self._check("answers", answers, self.answer_length)
        well_formed = xp.all(answers[..., 0::2] <= self.top, axis=-1)
        well_formed &= xp.all(answers[..., 1::2] > self.top, axis=-1)
        value = answers[..., 0]
        for i in range(1, self.answer_length, 2):
            operator, number = answers[..., i] - self.top - 1, answers[..., i + 1]
            value = xp.where(
                operator == 0, value + number,
                xp.where(operator == 1, value - number, value * number),
            )
        return value, well_formed

    def verify(self, prompts, answers):
        """True where an answer is well formed, uses every number once and hits the target.

        prompts [..., n+1], answers [..., 2n-1], token ids with equal leading shapes -> bool [...]

        Errors: ValueError when a length is wrong, the leading shapes differ or an id is no token.
        """
        xp = array_namespace(prompts, answers)
        self._check("prompts", prompts, self.prompt_length)
        if prompts.shape[:-1] != answers.shape[:-1]:
            raise ValueError(
                "prompts and answers must have equal leading shapes; "
                f"got {tuple(prompts.shape)} and {tuple(answers.shape)}"
            )
        value, well_formed = self.evaluate(answers)
        given = xp.sort(prompts[..., :-1], axis=-1)
        used = xp.sort(answers[..., 0::2], axis=-1)
        return well_formed & xp.all(given == used, axis=-1) & (value == prompts[..., -1])

    def problems(self):
        """Every solvable problem with all of its correct answers: a `Problems`.

        Writes down all largest^n * 3^(n-1) strings and groups them by (numbers, value):
        6561 strings for three numbers, 177 147 for four.
        """
        slots = [
            range(self.top + 1, self.vocabulary) if i % 2 else range(1, self.largest + 1)
            for i in range(self.answer_length)
        ]
        answers = np.array(list(product(*slots)))  # (all strings, 2n-1)
        value, _ = self.evaluate(answers)
        answers = answers[(value >= 0) & (value <= self.top)]
        value, _ = self.evaluate(answers)
        key = np.column_stack([np.sort(answers[:, 0::2], axis=1), value])
        prompts, owner = np.unique(key, axis=0, return_inverse=True)
        order = np.argsort(owner, kind="stable")
        answers, owner = answers[order], owner[order]
        return Problems(prompts, answers, owner, (answers == self.vocabulary - 1).sum(1))

    def text(self, tokens):
        """A sequence of token ids in words: "2 + 7 * 3"."""
        return " ".join(
            str(t) if t <= self.top else SIGNS[t - self.top - 1] for t in (int(t) for t in tokens)
        )

    def encode(self, text):
        """Token ids of a text such as "2 + 7 * 3" (words apart by blanks) as an array [length].

        Errors: ValueError that names the word that is no token.
        """
        ids = {str(i): i for i in range(self.top + 1)}
        ids |= {sign: self.top + 1 + i for i, sign in enumerate(SIGNS)}
        for word in text.split():
            if word not in ids:
                raise ValueError(f"text must hold integers 0..{self.top} and + - *; got {word!r}")
        return np.array([ids[word] for word in text.split()])

    def _check(self, name, tokens, length):
        if tokens.shape[-1] != length:
            raise ValueError(f"{name} must end in {length} tokens; got shape {tuple(tokens.shape)}")
        outside = (tokens < 0) | (tokens >= self.vocabulary)
        if bool(outside.any()):
            raise ValueError(
                f"{name} must hold token ids 0..{self.vocabulary - 1}; "
                f"got {int(tokens[outside][0])}"
            )


@dataclass(frozen=True)
class Problems:
    """Problems and their correct answers, as flat arrays.

    prompts [P, n+1]   numbers and target      answers [S, 2n-1]   all correct strings
    owner [S]          row of `prompts` that a string answers, ascending
    products [S]       multiplications in a string
    """

    prompts: np.ndarray
    answers: np.ndarray
    owner: np.ndarray
    products: np.ndarray
    count: np.ndarray = field(init=False)  # [P] correct strings of a problem
    first: np.ndarray = field(init=False)  # [P] where they begin in `answers`

    def __post_init__(self):
        count = np.bincount(self.owner, minlength=len(self.prompts))
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "first", np.cumsum(count) - count)

    def __len__(self):
        return len(self.prompts)

    def fewest_products(self):
        """[P] the fewest multiplications with which a problem can be solved."""
        return np.minimum.reduceat(self.products, self.first)

    def select(self, rows):
        """The problems `rows` with their answers, renumbered in that order."""
        rows = np.asarray(rows)
        strings = np.concatenate(
            [np.arange(self.first[r], self.first[r] + self.count[r]) for r in rows])
        owner = np.repeat(np.arange(len(rows)), self.count[rows])
        return Problems(self.prompts[rows], self.answers[strings], owner, self.products[strings])

    def shuffle_numbers(self, rng):
        """The same problems with the numbers of each prompt in a random order."""
        numbers = rng.permuted(self.prompts[:, :-1], axis=1)
        return Problems(np.column_stack([numbers, self.prompts[:, -1]]), self.answers, self.owner,
                        self.products)

    def draw(self, rows, rng):
        """One correct answer for each of `rows`, uniform among its strings: [len(rows), 2n-1]."""
        return self.answers[self.first[rows] + rng.integers(self.count[rows])]
