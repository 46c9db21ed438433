"""The recipe: one TOML file, five flat tables, read into frozen dataclasses that check
themselves; limits.py has the end of each range."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nmt.errors import NmtError
from nmt.files import TABLE_BYTES, parse_toml, read_any, read_file
from nmt.limits import check_number, shown
from nmt.machine import TRAINING_FORMATS
from nmt.recipe_values import setting_value, toml_value, typed

TASKS = ("translation", "language-model")
KINDS = ("unigram", "bpe", "char")
CELLS = ("lstm", "gru", "peephole", "tanh")
ATTENTIONS = ("multiplicative", "additive")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", *TRAINING_FORMATS)
SCHEDULES = ("cosine", "inverse-sqrt", "constant", "plateau")
SELECTIONS = ("bleu", "chrf", "loss")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    # corpora to learn from: PREFIX, a .tsv, .jsonl or .parquet file, SOURCE|TARGET, hf://name or a
    # corpus folder
    train: tuple[str, ...]
    # corpus that chooses the best checkpoint, in the same formats; or 1000 or 2%: so much is split
    # off the training text
    dev: str
    # language code translated from, as in the file names; a language model has none
    source: str = ""
    # language code translated into; a language model has none
    target: str = ""
    # language model: the text is one, its states carried on from window to window; false: each line
    # is a text of its own
    running: bool = False
    # running text: pieces of a window, through which gradients go back; 1 to 10,000
    window: int = 100
    # pieces a side; longer pairs are left out of training; 1 to 10,000
    max_length: int = 200
    # longer side / shorter side in pieces; more unequal pairs are left out; at least 1
    max_ratio: float = 9.0

    def __post_init__(self) -> None:
        if not self.train:
            raise NmtError("data.train is empty; name at least one corpus")
        for key, text in (
            *(("train", text) for text in self.train),
            ("dev", self.dev),
            *((key, text) for key, text in self.languages.items() if text),
        ):
            _check_text(f"data.{key}", text)
        if self.source and self.source == self.target:
            raise NmtError(
                f"data.source and data.target are both {self.source!r}; name two different"
                " languages"
            )
        for key, code in (("source", self.source), ("target", self.target)):
            if "/" in code:  # "../x" would make the path of another file of every name that it ends
                raise NmtError(
                    f"data.{key} must be a language code, the end of a file name, got {shown(code)}"
                )
        _check_numbers("data", self)

    @property
    def languages(self) -> dict[str, str]:
        """Both language codes by their keys."""
        return {"source": self.source, "target": self.target}


@dataclass(frozen=True, kw_only=True)
class SubwordsConfig:
    # unigram, bpe or char
    kind: str = "unigram"
    # pieces, special ones included; at most a million; 0: chosen from the size of the corpus
    vocab_size: int = 0
    # one subword model for both languages
    joint: bool = True
    # characters never seen in training are spelt in bytes instead of becoming unknown
    byte_fallback: bool = True
    # share of the corpus's characters with a piece of their own; above 0, up to 1
    character_coverage: float = 1.0
    # share of training pairs given random characters on both sides, so that unseen ones are copied;
    # 0 to 1
    rare_characters: float = 0.02
    # share of training pairs changed as real text differs from clean text: placeholders for what is
    # copied, lower case, typos, no final stop; 0: no placeholder pieces either; 0 to 1
    variety: float = 0.15
    # in training; bpe: dropout probability; unigram: alpha, the smaller the wilder (0.5 is mild); 0
    # (off) to 1
    sampling: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("subwords.kind", self.kind, KINDS)
        _check_numbers("subwords", self)
        if self.sampling and self.kind == "char":
            raise NmtError(
                f"subwords.sampling has no meaning for single characters, got {self.sampling} with"
                " kind 'char'; set it to 0"
            )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    # lstm, gru, peephole (LSTM whose gates see the cell) or tanh
    cell: str = "lstm"
    # numbers per piece; 1 to 65,536
    embedding_size: int = 512
    # units of a decoder layer; each direction of the encoder has half of them; even, at most 65,536
    hidden_size: int = 512
    # bidirectional layers; 1 to 64
    encoder_layers: int = 2
    # layers; 1 to 64
    decoder_layers: int = 2
    # multiplicative (Luong et al. 2015) or additive (Bahdanau et al. 2015)
    attention: str = "multiplicative"
    # attention heads; a divisor of hidden_size, at most 1,024
    heads: int = 1
    # feed the context back into the first decoder layer: a serial loop in training (Luong et al.
    # 2015)
    input_feeding: bool = False
    # the output layer reads the rows of the embedding table
    tie_embeddings: bool = True
    # probability; at least 0, below 1
    dropout: float = 0.3
    # probability that a whole piece is not read, on both sides; at least 0, below 1
    word_dropout: float = 0.0
    # probability that a recurrent weight is left out of an update; at least 0, below 1
    weight_drop: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("model.cell", self.cell, CELLS)
        _check_choice("model.attention", self.attention, ATTENTIONS)
        _check_numbers("model", self)
        if self.weight_drop and self.input_feeding:
            raise NmtError(
                "model.weight_drop needs model.input_feeding = false: its weights are dropped once"
                " for all positions"
            )
        if self.hidden_size % 2:
            raise NmtError(
                "model.hidden_size must be even (half for each direction of the encoder), got"
                f" {self.hidden_size}"
            )
        if self.hidden_size % self.heads:
            raise NmtError(
                f"model.heads must divide model.hidden_size ({self.hidden_size}), got {self.heads}"
            )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    # of initial weights, batch order, dropout and subword sampling; at least 0
    seed: int = 1
    # auto (a GPU if there is one), cpu or cuda
    device: str = "auto"
    # auto (bf16 where the hardware is fast at it), fp32 or bf16
    precision: str = "auto"
    # processor threads, at most 1,024; 0: all cores
    threads: int = 0
    # padded pieces a side in one update; 0: from the size of the corpus, 2,048 below 100,000 pairs,
    # at most 8,192
    batch_pieces: int = 0
    # batches whose gradients make one update; at least 1
    accumulate: int = 1
    # passes over the training data; 0: from the size of the corpus, 14 for 30,000 pairs, fewer for
    # more
    epochs: int = 0
    # optimizer updates after which training ends, the schedule with it, if no other limit comes
    # first; 0: no limit
    updates: int = 0
    # wall time of all sessions after which training ends, wherever the schedule stands; 0: no limit
    minutes: float = 0.0
    # the highest one, reached after the warm-up; above 0
    learning_rate: float = 1.5e-3
    # updates over which the learning rate rises from 0; 0: none
    warmup: int = 400
    # after the warm-up: cosine (down to a hundredth), inverse-sqrt, constant or plateau
    schedule: str = "cosine"
    # schedule plateau: validations without improvement after which the learning rate is halved; at
    # least 1
    plateau: int = 2
    # folder of a model (run or export) whose weights and subwords training begins with: fine-tuning
    start_from: str = ""
    # probability mass spread over all pieces; at least 0, below 1; a language model's default is 0
    label_smoothing: float = 0.1
    # weight of the divergence between two passes with different dropout; at least 0; 0: one pass
    r_drop: float = 0.0
    # AdamW's; at least 0
    weight_decay: float = 0.0
    # largest norm of the whole gradient; 0: off
    clip_norm: float = 1.0
    # largest absolute value of each gradient entry; 0: off
    clip_value: float = 0.0
    # of the moving average of the weights, per update; below 1; 0: off
    average_decay: float = 0.998
    # updates; 0: after each epoch
    validate_every: int = 0
    # what the best checkpoint is best in: bleu, chrf or loss; of a language model always loss
    select: str = "bleu"
    # validations without improvement before training stops; 0: off
    patience: int = 0
    # newest checkpoints kept beside the best; at least 1
    keep: int = 3
    # longest time between two checkpoints; above 0
    save_minutes: float = 10.0
    # updates; at least 1
    report_every: int = 50

    def __post_init__(self) -> None:
        _check_choice("training.device", self.device, DEVICES)
        _check_choice("training.precision", self.precision, PRECISIONS)
        _check_choice("training.schedule", self.schedule, SCHEDULES)
        _check_choice("training.select", self.select, SELECTIONS)
        if self.start_from:
            _check_text("training.start_from", self.start_from)
        _check_numbers("training", self)


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    # hypotheses kept for each sentence, 1 to 100; 1: greedy
    beam: int = 5
    # the score is log_prob / length**alpha; 0: no normalisation; 0 to 10
    length_alpha: float = 1.0
    # target pieces allowed for each source piece; above 0, at most 20
    max_length_factor: float = 2.0
    # target pieces allowed on top of that; 1 to 1,000
    max_length_extra: int = 20
    # padded source pieces translated at once; 1 to 100,000
    batch_pieces: int = 2048

    def __post_init__(self) -> None:
        _check_numbers("search", self)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    # translation or language-model
    task: str = "translation"
    # the two languages and where their text is
    data: DataConfig
    # text <-> pieces
    subwords: SubwordsConfig = field(default_factory=SubwordsConfig)
    # the network
    model: ModelConfig = field(default_factory=ModelConfig)
    # how its weights are found
    training: TrainingConfig = field(default_factory=TrainingConfig)
    # how translations are found
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        _check_choice("task", self.task, TASKS)
        for key, code in self.data.languages.items():
            if self.task == "translation" and not code:
                raise NmtError(f"data.{key} is missing; write {key} = ... under [data]")
            if self.task == "language-model" and code:
                raise NmtError(
                    f"data.{key} = {code!r} has no effect with task = 'language-model', which has"
                    " one language; leave it out"
                )
        if self.task == "language-model" and self.training.select != "loss":
            raise NmtError(
                f"training.select = {self.training.select!r} has no effect with task ="
                " 'language-model', whose checkpoints are selected by their loss; leave it out"
            )


TABLES: Mapping[str, type] = {
    item.name: item.type
    for item in fields(Recipe)
    if isinstance(item.type, type) and is_dataclass(item.type)
}
# keys of [training] whose default depends on the task
TASK_DEFAULTS: Mapping[str, dict[str, Any]] = {
    "language-model": {"label_smoothing": 0.0, "select": "loss"}
}
ELSEWHERE: Mapping[str, str] = {  # what other toolkits call a key
    "lr": "learning_rate", "max_steps": "updates", "train_steps": "updates", "steps": "updates", "max_epochs": "epochs",  # noqa: E501
    "batch_size": "batch_pieces", "gradient_accumulation": "accumulate", "early_stopping": "patience", "rnn_type": "cell",  # noqa: E501
    "rnn_size": "hidden_size", "num_layers": "encoder_layers", "max_seq_length": "max_length", "beam_size": "beam",  # noqa: E501
    "max_grad_norm": "clip_norm",
}  # fmt: skip


def load_recipe(path: Path, within: Path | None = None) -> Recipe:
    """Read a recipe: a file of the folder `within`, or whatever the user named, a pipe too."""
    try:
        text = (
            read_any(path, TABLE_BYTES) if within is None else read_file(path, TABLE_BYTES, within)
        ).decode("utf-8-sig")
    except FileNotFoundError:
        raise NmtError(f"{path}: no such recipe; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise NmtError(
            f"{path}: cannot be read as a recipe ({getattr(error, 'strerror', error)})"
        ) from None
    return parse_recipe(text, str(path))


def parse_recipe(text: str, name: str) -> Recipe:
    """Read a recipe from TOML; `name` is what error messages call it."""
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise NmtError(f"{name}: not TOML: {error}") from None
    try:
        task = document.pop("task", "translation")
        for table, content in document.items():
            if table not in TABLES:
                raise NmtError(f"unknown table [{shown(table)[1:-1]}]{_suggestion(table, TABLES)}")
            if not isinstance(content, dict):
                raise NmtError(
                    f"{table} must be a table, got {shown(content)}; write [{table}] above its keys"
                )
        defaults = {"training": TASK_DEFAULTS.get(str(task), {})}
        given = {table: defaults.get(table, {}) | document.get(table, {}) for table in TABLES}
        return Recipe(task=task, **{table: _build(table, given[table]) for table in TABLES})
    except NmtError as error:
        raise NmtError(f"{name}: {error}") from None


def default_recipe(task: str, data: DataConfig) -> Recipe:
    """The recipe of a task with nothing but its data given."""
    return Recipe(task=task, data=data, training=TrainingConfig(**TASK_DEFAULTS.get(task, {})))


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with each `table.key=value` put in place; all of them are applied before the
    result is checked."""
    changes: dict[str, dict[str, Any]] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        table, dot, key = name.strip().partition(".")
        if not equals or not dot:
            raise NmtError(f"a setting has the form table.key=value, got {setting!r}")
        if table not in TABLES:
            raise NmtError(f"unknown table in setting {setting!r}{_suggestion(table, TABLES)}")
        item = _known_field(table, key)
        changes.setdefault(table, {})[key] = typed(
            f"{table}.{key}", item, setting_value(item, text.strip())
        )
    return replace(
        recipe,
        **{table: replace(getattr(recipe, table), **values) for table, values in changes.items()},
    )


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML with every key written out; `parse_recipe` reads it back equal."""
    tables = ((table, asdict(getattr(recipe, table))) for table in TABLES)
    texts = {
        table: "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())
        for table, values in tables
    }
    task = f"task = {toml_value(recipe.task)}\n\n"
    return task + "\n".join(f"[{table}]\n{text}" for table, text in texts.items())


def _build(table: str, values: Mapping[str, object]) -> Any:
    """The table's dataclass from TOML values."""
    found = {
        key: typed(f"{table}.{key}", _known_field(table, key), value)
        for key, value in values.items()
    }
    for item in fields(TABLES[table]):
        if item.default is MISSING and item.name not in found:
            raise NmtError(
                f"{table}.{item.name} is missing; write {item.name} = ... under [{table}]"
            )
    return TABLES[table](**found)


def _known_field(table: str, key: str) -> "Field[Any]":
    known = {item.name: item for item in fields(TABLES[table])}
    if key not in known:
        raise NmtError(f"unknown key {table}.{shown(key)[1:-1]}{_suggestion(key, known)}")
    return known[key]


def recipe_key(name: str) -> str | None:
    """`table.key` of the key of this name, or that other toolkits call so; None if there is
    none."""
    usual = ELSEWHERE.get(name, name)  # batch_pieces is training's, the first table that has it
    return next(
        (
            f"{table}.{usual}"
            for table, kind in TABLES.items()
            if usual in (item.name for item in fields(kind))
        ),
        None,
    )


def _suggestion(name: str, known: Iterable[str]) -> str:
    """The table that has a key of this name, else what others call so, the nearest name, those
    that share a word, or all."""
    found = recipe_key(name)
    names = [found] if found else get_close_matches(name, list(known), n=1, cutoff=0.65)
    names = names or [
        key for key in known if len(name) > 2 and set(name.split("_")) & set(key.split("_"))
    ]
    return f"; did you mean {' or '.join(names)}?" if names else f"; known are {', '.join(known)}"


def _check_text(key: str, text: str) -> None:
    if not text.strip():
        raise NmtError(f"{key} must not be empty")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise NmtError(f"{key} must be valid Unicode, got {text!r}; rename the file")
    if "\0" in text:
        raise NmtError(f"{key} must have no NUL character, got {shown(text)}")


def _check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise NmtError(f"{key} must be one of {', '.join(choices)}, got {shown(value)}")


def _check_numbers(table: str, values: object) -> None:
    """Raises NmtError if one of the numbers is not between its limits."""
    for item in fields(TABLES[table]):
        if item.type in (int, float):
            check_number(f"{table}.{item.name}", getattr(values, item.name))
