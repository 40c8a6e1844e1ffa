"""The notation page as data: every symbol once, with its meaning, its unit and where it holds.

`read` parses the tables of `book/notation.md`, the one source. `Table.meanings` finds the listed
symbols in the TeX of a formula. A letter that the page does not pin down is left without a meaning:
no meaning is better than a wrong one. Data only; the Sphinx extension `symbols_ext` builds on it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

HEADS = ("symbol", "meaning", "unit", "first chapter")
EVERYWHERE = "; everywhere"
CHAPTER = re.compile(r"\[(?P<name>[^\]]+)\]\((?P<page>[^)]+)\.md\)|\*(?P<planned>[^*]+)\*")
CELL = re.compile(r"(?<!\\)\|")
MATH = re.compile(r"\$([^$]+)\$")
ORDER = re.compile(r"of order \$([^$]+)\$")

# Commands that make one letter out of what they wrap, by a font or an accent.
WRAPS = (r"\\(?:math(?:rm|cal|bb|sf|bf|frak|it)|operatorname\*?|boldsymbol|text(?:rm|bf|it)?|"
         r"(?:wide)?hat|bar|overline|(?:wide)?tilde|d?dot|vec)(?![a-zA-Z])")
TOKEN = re.compile(
    rf"(?P<wrap>{WRAPS})\s*(?:\{{(?P<group>[^{{}}]*)\}}|(?P<one>\\[a-zA-Z]+|[^\s{{}}]))"
    r"|(?P<skip>\\(?:begin|end|label)\{[^}]*\}|\\(?:left|right|[bB]igg?[lrm]?)(?![a-zA-Z])"
    r"|\\[,;:! ]|\\q?quad(?![a-zA-Z])|[&~\s])"
    r"|(?P<plain>\\[a-zA-Z]+|\\.|.)", re.S)
PRIMES = ("'", r"\prime")
SEPARATORS = (",", ";", r"\mid", r"\Vert", "|")
SIGNS = set("+-")
COUNTS = set("ijklmnt0123456789,'") | SIGNS  # of an index that tells one of several apart


@dataclass(frozen=True)
class Form:
    """One way in which the notation page writes a symbol: H, H_\\alpha(p), \\pi^T."""

    tex: str
    head: tuple
    index: tuple | None = None
    power: tuple | None = None
    argument: tuple | None = None

    @property
    def spoken(self):
        """True for a name such as Cov or the blackboard E: whatever its index, it is itself."""
        return len(self.head) == 1 and self.head[0].startswith((r"\math", r"\operatorname"))


@dataclass(frozen=True)
class Symbol:
    """One row of the notation page."""

    identity: str
    cell: str
    forms: tuple
    meaning: str
    unit: str
    page: str | None  # of the first chapter, from the notation page, without suffix; None: not written
    chapter: str
    everywhere: bool
    line: int

    @property
    def order(self):
        """The letter of an order, "entropy of order $q$": in a formula with T_q, q is nothing else."""
        return tuple(tokens(found[1])) if (found := ORDER.search(self.meaning)) else None

    @property
    def part(self):
        return self.page.split("/")[0] if self.page else None


def tokens(tex):
    """The letters and signs of a formula; spaces and sizes are left out, fonts stay with letters."""
    found = []
    for match in TOKEN.finditer(tex):
        if match["wrap"]:
            inner = match["group"] if match["one"] is None else match["one"]
            inner = inner if match["wrap"].startswith(r"\text") else re.sub(r"\s", "", inner)
            found.append(f"{match['wrap']}{{{inner}}}")
        elif match["plain"]:
            found.append({r"\|": r"\Vert"}.get(match["plain"], match["plain"]))
    return found


def group(found, at):
    """(tokens, end) of the group or the single token at a place."""
    if at < len(found) and found[at] == "{":
        end = _closing(found, at, "{", "}")
        return tuple(found[at + 1:end]), end + 1
    return tuple(found[at:at + 1]), at + 1


def _closing(found, at, left, right):
    """Where the bracket that opens at a place closes; the last token if it never does."""
    depth = 0
    for place in range(at, len(found)):
        depth += (found[place] == left) - (found[place] == right)
        if not depth:
            return place
    return len(found) - 1


def _suffix(found, at):
    """(index, power, argument) of what stands before a place."""
    index = power = argument = None
    while at < len(found):
        if found[at] in PRIMES:
            at += 1
        elif found[at] == "_" and index is None:
            index, at = group(found, at + 1)
        elif found[at] == "^" and power is None:
            power, at = group(found, at + 1)
        else:
            break
    if at < len(found) and found[at] == "(":
        argument = tuple(found[at + 1:_closing(found, at, "(", ")")])
    return index, power, argument


def form(tex):
    """A symbol as the notation page writes it, taken apart."""
    found = tokens(tex)
    end = next((i for i, token in enumerate(found) if i and token in ("_", "^", "(")), len(found))
    return Form(tex, tuple(found[:end]), *_suffix(found, end))


def _kinds(argument):
    """How an argument is built: its separators, and for each part whether it is a variable."""
    kinds, start = [], True
    for token in argument:
        if token in SEPARATORS:
            kinds.append(token)
            start = True
        elif start:
            kinds.append("variable" if re.fullmatch("[A-Z]", token) else "other")
            start = False
    return kinds


def _counts(index):
    """True for i, k+1, 2, ...; a lone sign, as in H_+, is a name."""
    return all(token in COUNTS for token in index) and any(token not in SIGNS for token in index)


def fit(wanted, index, power, argument):
    """How well a form fits what stands in a formula: larger is closer, None is not at all."""
    score = 0
    if wanted.index is None:
        if index is not None and not _counts(index) and not wanted.spoken:
            return None
    elif index == wanted.index:
        score += 2
    elif wanted.spoken:
        score -= 1
    elif index is None:
        return None
    elif not (_counts(index) and _counts(wanted.index)) and not (
            len(wanted.index) == 1 and re.fullmatch(r"\\[a-z]+|q", wanted.index[0])
            and all(re.fullmatch(r"\d|\\infty|/", token) for token in index)):
        return None  # an order, α or q, may be a number
    else:
        score += 1
    if wanted.power is not None:
        if power != wanted.power:
            return None
        score += 2
    if wanted.argument is not None and argument is not None:
        if argument == wanted.argument:
            score += 5
        elif _kinds(argument) == _kinds(wanted.argument):
            score += 4
        else:
            return None
    elif wanted.argument is not None and wanted.index is None:
        return None  # with its index a symbol may drop its argument: H_2
    return score


@dataclass
class Table:
    """All rows, and which of them a formula uses."""

    symbols: list
    order: tuple = ()  # the chapters of the book, part/chapter, in reading order
    heads: dict = field(init=False)

    def __post_init__(self):
        self.heads = {}
        for number, symbol in enumerate(self.symbols):
            for each in symbol.forms:
                self.heads.setdefault(each.head, []).append((each, number))
        self.longest = max((len(head) for head in self.heads), default=0)

    def holds(self, number, where):
        """True where a symbol keeps its meaning: from its chapter on in its own part, or everywhere.

        where  a part of the book, or a chapter of one: "policy", "policy/shaping"
        """
        symbol = self.symbols[number]
        if symbol.everywhere:
            return True
        inside = symbol.part == where.split("/")[0]
        if inside and symbol.page in self.order and where in self.order:
            return self.order.index(symbol.page) <= self.order.index(where)
        return inside

    def meanings(self, tex, where):
        """The numbers of the symbols in a formula of a part or a chapter of the book, in order, each once.

        Where two meanings fit a place equally well, that of the chapter goes first, then that of its part;
        else both are there.
        """
        found, places, at = tokens(tex), [], 0
        while at < len(found):
            for length in range(min(self.longest, len(found) - at), 0, -1):
                head = tuple(found[at:at + length])
                fitting = self._fitting(head, _suffix(found, at + length), where)
                if fitting:
                    places += [(head, number) for number in fitting]
                    at += length
                    break
            else:
                at += 1
        orders = {self.symbols[number].order for _, number in places}
        return list(dict.fromkeys(number for head, number in places if head not in orders))

    def _fitting(self, head, suffix, where):
        scores = {}
        for wanted, number in self.heads.get(head, ()):
            score = fit(wanted, *suffix) if self.holds(number, where) else None
            if score is not None:
                scores[number] = max(score, scores.get(number, score))
        best = [number for number in scores if scores[number] == max(scores.values())]
        if any(scores[number] < 0 for number in best):
            return best[:1]  # Cov under some law: the row that introduces Cov
        own = [number for number in best if self.symbols[number].page == where]
        return own or [number for number in best if self.symbols[number].part == where.split("/")[0]] or best


def slug(text):
    """A name for an address: the letters and figures of a text, joined by hyphens."""
    return "-".join(re.findall(r"[A-Za-z0-9]+", text.replace("mathrm", "").replace("mathbb", "")))


def read(path, order=()):
    """The table of symbols of a notation page; `order` names the chapters of the book in reading order.

    Errors: ValueError with one line for each row that is not in order; FileNotFoundError.
    """
    name, symbols, wrong, columns = Path(path).name, [], [], None
    for number, line in enumerate(Path(path).read_text(encoding="utf8").splitlines(), 1):
        if not line.startswith("|"):
            columns = None
            continue
        cells = [cell.strip() for cell in CELL.split(line.strip())[1:-1]]
        if columns is None:
            columns = cells
        elif columns == list(HEADS) and not set("".join(cells)) <= set("-: "):
            try:
                symbols.append(_row(cells, number))
            except ValueError as error:
                wrong.append(f"{name}, line {number}: {error}")
    seen = {}
    for symbol in symbols:
        if seen.setdefault(symbol.identity, symbol.line) != symbol.line:
            wrong.append(f"{name}, line {symbol.line}: {symbol.cell} of {symbol.chapter} stands in line "
                         f"{seen[symbol.identity]} already")
    if wrong:
        raise ValueError("\n".join(wrong))
    return Table(symbols, tuple(order))


def _row(cells, line):
    if len(cells) != len(HEADS):
        raise ValueError(f"a row must have {len(HEADS)} cells ({', '.join(HEADS)}); got {len(cells)}")
    cell, meaning, unit, where = cells
    if not cell or not meaning:
        raise ValueError("a row must name its symbol and its meaning")
    everywhere = where.endswith(EVERYWHERE)
    place = CHAPTER.fullmatch(where.removesuffix(EVERYWHERE))
    if not place:
        raise ValueError(f"the first chapter must be [name](page.md) or *name*; got {where!r}")
    chapter = place["name"] or place["planned"]
    math = MATH.fullmatch(cell)
    forms = tuple(form(tex) for tex in re.split(r",\\ ", math[1])) if math else ()
    return Symbol(f"symbol-{slug(cell)}-{slug(chapter)}", cell, forms, meaning, unit, place["page"],
                  chapter, everywhere, line)
