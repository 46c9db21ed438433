"""Made-up sentences with what a translation must copy: numbers, addresses, code, markup, names.

All of it is drawn from a seed, so that no system can have learnt the examples.
"""

import random
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from evaluation.robustness.carriers import CARRIERS
from nmt.errors import NmtError

Draw = Callable[[random.Random], "tuple[Entity, ...]"]

LATIN = [
    *("ka", "dra", "zül", "mo", "ré", "ñi", "bel", "sto", "vy", "qua"),
    *("ŝe", "thi", "lor", "går", "pek", "hu", "jin", "øst"),
]
SCRIPTS: Mapping[str, tuple[list[str], str]] = {  # syllables, and what stands between the names
    "Cyrillic": (["Ба", "ди", "ку", "ро", "жен", "ля", "мих", "то", "вар", "пе"], " "),
    "Greek": (["Θε", "ρα", "κο", "μι", "λε", "νδρ", "σα", "πυ", "τη", "γο"], " "),
    "Arabic": (["با", "دي", "رو", "كا", "مي", "نو", "سا", "لي", "حا", "فر"], " "),
    "Devanagari": (["का", "मि", "रे", "नो", "सु", "ता", "वी", "पा", "जै", "दे"], " "),
    "Han": (["李", "王", "雪", "明", "海", "云", "静", "山", "玉", "安"], ""),
    "Hangul": (["김", "서", "윤", "하", "진", "도", "민", "라", "우", "혜"], ""),
}
WORDS = [
    *("report", "draft", "lumen", "koral", "plan", "vesper"),
    *("index", "orbit", "tundra", "delta", "sepia", "quill"),
]
POINT = ("en",)  # languages that write 12,500.75; the others here write 12.500,75


class Entity(NamedTuple):
    """A text to be copied. Any one of `forms` will do: a number may take the target's format."""

    forms: tuple[str, ...]


class Example(NamedTuple):
    """A sentence and the entities in it, in order."""

    kind: str
    source: str
    entities: tuple[Entity, ...]

    def is_exact(self, output: str) -> bool:
        """Whether each entity is in the output exactly once, in the source's order."""
        place = 0
        for entity in self.entities:
            found = [each for form in entity.forms for each in _places(form, output)]
            if len(set(found)) != 1 or found[0] < place:
                return False
            place = found[0] + 1
        return True


def examples(language: str, count: int, seed: int = 1) -> list[Example]:
    """`count` examples of each kind in sentences of the source language.

    Raises:
        NmtError: no sentences are known in this language.
    """
    if language not in CARRIERS:
        raise NmtError(
            f"no sentences to put entities into in {language!r}; add some to"
            f" evaluation/robustness/carriers.py, which has {', '.join(CARRIERS)}"
        )
    made = []
    for kind, (carrier, draw) in KINDS.items():
        chance = random.Random(f"{seed} {kind}")
        for number in range(count):
            sentences = CARRIERS[language][carrier]
            entities = draw(chance)
            texts = [written(entity, carrier, language) for entity in entities]
            source = sentences[number % len(sentences)].format(*texts)
            made.append(Example(kind, source, entities))
    return made


def written(entity: Entity, carrier: str, language: str) -> str:
    """The entity as the source language writes it; the second form of a number is English."""
    english = carrier in ("number", "amount") and language in POINT
    return entity.forms[min(english, len(entity.forms) - 1)]


def _places(form: str, output: str) -> list[int]:
    """Where the form stands by itself: no part of a longer number or word."""
    first, last = form[0], form[-1]
    before = r"(?<![\d.,])" if first.isdigit() else r"(?<!\w)" if first.isalpha() else ""
    after = r"(?![.,]?\d)" if last.isdigit() else r"(?!\w)" if last.isalpha() else ""
    before = before or f"(?<!{re.escape(first)})"  # {x} is not in {{x}}
    after = after or f"(?!{re.escape(last)})"
    return [each.start() for each in re.finditer(before + re.escape(form) + after, output)]


def _one(text: str) -> tuple[Entity, ...]:
    return (Entity((text,)),)


def whole_number(chance: random.Random) -> tuple[Entity, ...]:
    """From 13 up; with thousands in each common format."""
    digits = chance.randint(2, 7)
    value = chance.randint(max(13, 10 ** (digits - 1)), 10**digits - 1)
    if value < 10_000:
        grouped = f"{value:,}"
        return (Entity(tuple(dict.fromkeys([str(value), grouped, grouped.replace(",", ".")]))),)
    point = f"{value:,}".replace(",", ".")
    return (Entity((point, f"{value:,}", point.replace(".", " "), str(value))),)


def decimal(chance: random.Random) -> tuple[Entity, ...]:
    """With a decimal comma or a decimal point."""
    text = f"{chance.randint(1, 999)},{chance.randint(1, 99):02}"
    return (Entity((text, text.replace(",", "."))),)


def code_number(chance: random.Random) -> tuple[Entity, ...]:
    """A time, a version, a telephone number or an article number."""
    pick = chance.randrange(4)
    return _one(
        (
            f"{chance.randint(10, 23)}:{chance.randint(10, 59)}",
            f"{chance.randint(1, 9)}.{chance.randint(0, 30)}.{chance.randint(0, 9)}",
            f"+{chance.randint(30, 49)} {chance.randint(20, 89)} {chance.randint(10**6, 10**7)}",
            f"{_letters(chance, 2).upper()}-{chance.randint(1000, 99_999)}",
        )[pick]
    )


def web_address(chance: random.Random) -> tuple[Entity, ...]:
    path = "/".join(chance.sample(WORDS, chance.randint(1, 2)))
    query = f"?{_letters(chance, 1)}={chance.randint(1, 999)}" * chance.randrange(2)
    return _one(
        f"https://{_letters(chance, 6)}.example.{chance.choice(['org', 'com'])}/{path}{query}"
    )


def mail_address(chance: random.Random) -> tuple[Entity, ...]:
    return _one(f"{_letters(chance, 4)}.{_letters(chance, 6)}@{_letters(chance, 5)}.example.net")


def file_name(chance: random.Random) -> tuple[Entity, ...]:
    name = (
        f"{chance.choice(WORDS)}_{chance.randint(1990, 2040)}.{chance.choice(['pdf', 'csv', 'py'])}"
    )
    return _one(chance.choice(["", "/srv/", "~/"]) + name)


def program_code(chance: random.Random) -> tuple[Entity, ...]:
    word = chance.choice(WORDS)
    return _one(
        chance.choice(
            [
                f"{{{word}}}",
                "%s",
                "%d",
                f"${{{word.upper()}}}",
                f"{word}()",
                f"--{word}",
                f"{{{{{word}}}}}",
            ]
        )
    )


def markup(chance: random.Random) -> tuple[Entity, ...]:
    tag = chance.choice(["b", "i", "em", "strong", "u"])
    if chance.random() < 0.3:
        return Entity((f'<a href="#{chance.choice(WORDS)}">',)), Entity(("</a>",))
    return Entity((f"<{tag}>",)), Entity((f"</{tag}>",))


def latin_name(chance: random.Random) -> tuple[Entity, ...]:
    return _one(f"{_name(LATIN, chance)} {_name(LATIN, chance)}")


def other_name(chance: random.Random) -> tuple[Entity, ...]:
    syllables, between = SCRIPTS[chance.choice(list(SCRIPTS))]
    return _one(_name(syllables, chance) + between + _name(syllables, chance))


def _name(syllables: list[str], chance: random.Random) -> str:
    return "".join(chance.choices(syllables, k=chance.randint(2, 3))).capitalize()


def _letters(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("abcdefghijklmnoprstuvwz", k=count))


KINDS: Mapping[str, tuple[str, Draw]] = {  # name -> kind of sentence around it, how it is drawn
    "whole numbers": ("number", whole_number),
    "decimals": ("amount", decimal),
    "times, versions, codes": ("thing", code_number),
    "web addresses": ("thing", web_address),
    "mail addresses": ("thing", mail_address),
    "file names": ("thing", file_name),
    "program code": ("thing", program_code),
    "markup": ("span", markup),
    "names, Latin script": ("name", latin_name),
    "names, other scripts": ("name", other_name),
}
