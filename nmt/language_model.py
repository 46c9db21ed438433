"""Language models from Python and behind `nmt score` and `nmt sample`: text in, probabilities and
text out."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.data.text_batches import collate_lines
from nmt.engines.language import LanguageNetwork
from nmt.errors import NmtError
from nmt.folders import load_language_model, open_folder
from nmt.model import language_model
from nmt.model.language_model import LanguageState
from nmt.recipe import Recipe
from nmt.search.lookahead import look_ahead
from nmt.search.sampling import draw, uniforms
from nmt.search.settings import Sampling
from nmt.text.lines import chunks, plain
from nmt.text.subwords import Subwords
from nmt.translation.translator import choose_device
from nmt.vocabulary import BOS, EOS, PAD, UNK

LINES = 256  # scored together
STEPS = 500  # pieces of running text that are scored at once
LENGTH = 500  # symbols of a sample, unless another number is asked for
HIDDEN = (PAD, UNK, BOS)  # pieces that are never written
LINE_END = "\n"


class TextScore(NamedTuple):
    """The log-probability of one line and of its symbols, natural logarithms, the end of line
    included as "\\n"."""

    log_prob: float
    symbols: tuple[tuple[str, float], ...]  # each piece with its own; U+2581 starts a word


class SymbolNode(NamedTuple):
    """A symbol that may come next; "\\n" is the end of a line, U+2581 starts a word."""

    parent: int  # index of the node before it; -1: the given text
    symbol: str
    probability: float  # after its parent
    log_prob: float  # from the given text to this symbol, nats
    rest: float | None  # probability of all symbols after it that are not shown; None: not expanded


class SymbolTree(NamedTuple):
    """What a language model expects after a text."""

    text: str
    rest: float  # probability of all symbols after the text that are not shown
    nodes: list[SymbolNode]  # every parent before its children


class LanguageModel:
    """A language model that `nmt train --task language-model` has trained.

    >>> model = nmt.LanguageModel.load("runs/shakespeare")
    >>> model.score(["To be, or not to be"])[0].log_prob
    >>> "".join(model.sample("ROMEO:", temperature=0.8, seed=3))
    >>> model.next_symbols("The quick brown f", count=3)
    """

    def __init__(
        self, model: language_model.LanguageModel, subwords: Subwords, recipe: Recipe
    ) -> None:
        self.running, self.spelt = recipe.data.running, recipe.subwords.kind == "char"
        self.network = LanguageNetwork(model, self.running)
        self.model, self.subwords, self.recipe = model, subwords, recipe

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """A training run, one of its checkpoints, or an exported model; `device` is auto (a GPU
        where there is one), cpu or cuda.

        Raises:
            NmtError: the folder is no language model, is damaged, or the device is not there.
        """
        chosen, folder = choose_device(device), open_folder(Path(path))
        model = load_language_model(folder, chosen)
        return cls(model, folder.subwords.target, folder.recipe)

    def score(self, lines: Iterable[str]) -> list[TextScore]:
        """The log-probability of each line, its end included.

        Where the model has learnt running text, each line is read after all lines before it, the
        first one as if it began a text; else each line by itself.

        Raises:
            NmtError: a line is no valid Unicode.
        """
        return list(self.score_stream(lines))

    def score_stream(self, lines: Iterable[str]) -> Iterator[TextScore]:
        """As `score`, while the lines come: in constant memory."""
        state: LanguageState | None = None
        for chunk in chunks(lines, LINES):
            ids = self.subwords.encode([plain(line) for line in chunk])
            if self.running:
                pieces = [piece for row in ids for piece in (*row, EOS)]
                found, state = self._read_on(pieces, state)
            else:
                found = self._read_lines(ids)
            at = 0
            for row in ids:
                end = at + len(row) + 1
                names = [*self.subwords.pieces(row), LINE_END]
                log_probs = found[at:end]
                symbols = tuple(zip(names, log_probs, strict=True))
                yield TextScore(sum(log_probs), symbols)
                at = end

    def sample(
        self,
        prime: str = "",
        *,
        length: int = LENGTH,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        number: int = 0,
    ) -> Iterator[str]:
        """The prime and what the model writes after it, in parts as they are produced.

        `length` is the largest number of symbols after the prime. A model of lines ends with its
        line; one of running text goes on, its lines ended by a newline. The probabilities are those
        of softmax(logits / temperature), of the `top_k` likeliest symbols only (0: of all), and of
        these the fewest whose probabilities sum up to `top_p` (Holtzman et al. 2020). What is
        drawn is a function of the seed and the `number` of the sample.

        Raises:
            NmtError: a number is out of range.
        """
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        if length < 1:
            raise NmtError(f"length must be at least 1, got {length}; 500 is the default")
        return self._sample(prime, length, sampling, number)

    def next_symbols(self, text: str = "", count: int = 10) -> list[tuple[str, float]]:
        """The likeliest next symbols after a text and their probabilities, the likeliest first;
        "\\n" is the end of the line, U+2581 starts a word."""
        with torch.inference_mode():
            read, _ = self._primed(text)
            logits_1V, _ = self._next(read)
            probabilities, pieces = logits_1V.softmax(1)[0].topk(min(count, self.subwords.size))
        names = [self._name(piece) for piece in pieces.tolist()]
        return list(zip(names, probabilities.tolist(), strict=True))

    def tree(self, text: str = "", depth: int = 3, width: int = 3, beam: int = 4) -> SymbolTree:
        """The `width` likeliest symbols after a text, and after each of the `beam` likeliest
        prefixes, to `depth` symbols. The end of the line ends a text of a model of lines.

        Raises:
            NmtError: a number is below 1, or a model of lines is given several.
        """
        for name, value in (("depth", depth), ("width", width), ("beam", beam)):
            if value < 1:
                raise NmtError(f"{name} must be at least 1, got {value}; 3 is usual")
        ends = () if self.running else (EOS,)
        read, _ = self._primed(text)
        found = look_ahead(self.network, read, depth, width, beam, HIDDEN, ends)
        nodes = [SymbolNode(node.parent, self._name(node.piece), *node[2:]) for node in found.nodes]
        return SymbolTree(text, found.rest, nodes)

    def _name(self, piece: int) -> str:
        return LINE_END if piece == EOS else self.subwords.pieces([piece])[0]

    def _sample(self, prime: str, length: int, sampling: Sampling, number: int) -> Iterator[str]:
        uniforms_T = uniforms((sampling.seed, number), length).to(self.network.device)
        hidden_F = torch.tensor(HIDDEN, device=self.network.device)
        read, line = self._primed(prime)
        writer = _Writer(self.subwords, line)
        yield prime if self.spelt else prime.rstrip(" ")  # a piece brings the space before it
        with torch.inference_mode():
            state = self.network.start([read])
            pieces_1 = torch.zeros(1, dtype=torch.long, device=self.network.device)
        for position in range(length):
            with torch.inference_mode():  # not around a yield: it would hold in the caller
                logits_1V, state = self.network.step(pieces_1, state)
                logits_1V = logits_1V.index_fill(1, hidden_F, -torch.inf)
                pieces_1 = draw(logits_1V, sampling, uniforms_T[position : position + 1])
            piece = int(pieces_1)
            if piece == EOS and not self.running:
                break
            yield writer.write(piece)
        yield writer.rest()

    def _primed(self, text: str) -> tuple[list[int], list[int]]:
        """The pieces of a text that goes on, and those of its last line."""
        lines = text.split("\n")
        if len(lines) > 1 and not self.running:
            raise NmtError(
                "the prime has several lines, this is a model of single lines; give the last one"
            )
        ids = self.subwords.encode([plain(line) for line in lines])
        if self.spelt and text.endswith(" ") and ids[-1]:  # which encoding takes away
            ids[-1] = ids[-1] + self.subwords.encode(["a b"])[0][2:3]  # the space between
        read = [piece for row in ids[:-1] for piece in (*row, EOS)]
        return read + ids[-1], ids[-1]

    def _next(self, read: Sequence[int]) -> tuple[Tensor, object]:
        first_1 = torch.full((1,), BOS, device=self.network.device)
        return self.network.step(first_1, self.network.start([read]))

    def _read_lines(self, ids: Sequence[Sequence[int]]) -> list[float]:
        """The log-probabilities of all pieces, line by line."""
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        found: list[list[float]] = [[] for _ in ids]
        most = max(1, self.recipe.training.batch_pieces or 2048)
        while order:
            size = max(1, most // (1 + len(ids[order[-1]])))
            rows, order = order[-size:], order[:-size]
            batch = collate_lines([ids[row] for row in rows]).to(self.network.device)
            log_probs_BT = self._log_probs(batch.input_BT, batch.output_BT, None)[0]
            for row, values in zip(rows, log_probs_BT.tolist(), strict=True):
                found[row] = values[: len(ids[row]) + 1]
        return [value for row in found for value in row]

    def _read_on(
        self, pieces: Sequence[int], state: "LanguageState | None"
    ) -> tuple[list[float], "LanguageState | None"]:
        """The log-probabilities of pieces that follow what the state has read, and the state. The
        piece before is always an end of line."""
        found: list[float] = []
        before = [EOS, *pieces]
        for at in range(0, len(pieces), STEPS):
            width = min(STEPS, len(pieces) - at)
            read_1T, written_1T = (
                torch.tensor([each], device=self.network.device)
                for each in (before[at : at + width], pieces[at : at + width])
            )
            log_probs_1T, state = self._log_probs(read_1T, written_1T, state)
            found += log_probs_1T[0].tolist()
        return found, state

    def _log_probs(
        self, read_BT: Tensor, written_BT: Tensor, state: "LanguageState | None"
    ) -> tuple[Tensor, LanguageState]:
        with torch.inference_mode():
            vectors_BTE, after = self.model(read_BT, state)
            log_probs_BTV = self.model.output(vectors_BTE).float().log_softmax(-1)
            return log_probs_BTV.gather(2, written_BT[:, :, None])[:, :, 0], after


class _Writer:
    """Pieces to text as they come: a character of several byte pieces appears when it is whole."""

    def __init__(self, subwords: Subwords, line: Sequence[int]) -> None:
        self.subwords, self.line = subwords, list(line)
        self.written = subwords.decode([self.line])[0]

    def write(self, piece: int) -> str:
        """What one more piece adds to the text."""
        if piece == EOS:
            rest = self.rest()
            self.line, self.written = [], ""
            return rest + LINE_END
        self.line.append(piece)
        text = self.subwords.decode([self.line])[0]
        if text.endswith("\ufffd") or not text.startswith(self.written):
            return ""
        added, self.written = text[len(self.written) :], text
        return added

    def rest(self) -> str:
        """What was held back at the end of a line."""
        text = self.subwords.decode([self.line])[0]
        return text[len(self.written) :]
