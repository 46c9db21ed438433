"""Every command and every Python block of the README and the documents runs, on a tiny model, or
says why not."""

import gzip
import io
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import write_corpus

from nmt.commands.main import main

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
SMALL = {  # settings that make a run of seconds out of each `nmt train`
    "subwords.vocab_size": 360,
    "model.embedding_size": 16,
    "model.hidden_size": 16,
    "training.threads": 1,
    "training.epochs": 1,
    "training.batch_pieces": 160,
    "search.beam": 5,
    "search.max_length_factor": 1,
    "training.precision": "fp32",
}


class Block(NamedTuple):
    """A fenced block of a document."""

    place: str  # document:line
    language: str
    text: str
    reason: str | None  # why it is not run

    def __str__(self) -> str:
        return self.place


def blocks(*languages: str) -> list[Block]:
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            if match["language"] in languages:
                place = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
                found.append(Block(place, match["language"], match["text"], match["reason"]))
    return found


def commands(block: Block) -> list[str]:
    return [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files and the runs that the documents name."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "corpus").mkdir()
    for name, pairs in (("train", 120), ("dev", 10), ("test", 10)):
        prefix = folder / "corpus" / name
        write_corpus(prefix, pairs, seed=pairs + len(name))
        prefix.with_suffix(".nl").rename(prefix.with_suffix(".de"))
    for name, source in (
        ("test.de", "test.de"),
        ("test.en", "test.en"),
        ("system-a.en", "test.en"),
        ("system-b.en", "dev.en"),
    ):
        shutil.copy(folder / "corpus" / source, folder / name)
    lines = (folder / "test.de").read_text(encoding="utf-8").splitlines()[:3]
    (folder / "text.de").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "text.de.gz").write_bytes(gzip.compress((folder / "text.de").read_bytes()))
    (folder / "text.jsonl").write_text(
        "".join(json.dumps({"text": line, "id": 1}) + "\n" for line in lines), encoding="utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train = (
            "nmt train --train corpus/train --dev corpus/dev --source de --target en --run"
            " runs/de-en"
        )
        assert run_command(train) == 0
        texts = "--train corpus/train.en --dev corpus/dev.en"
        assert run_command(f"nmt train --task language-model {texts} --run runs/english") == 0
        (folder / "recipe.toml").write_text(
            (folder / "runs/de-en/recipe.toml").read_text(encoding="utf-8"), encoding="utf-8"
        )
    shutil.copytree(folder / "runs/de-en", folder / "runs/seed-2", symlinks=True)
    return folder


def run_command(line: str) -> int:
    """Runs a line of `nmt ...` in this process, with `< FILE` and `> FILE`; returns its exit
    status."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "nmt", f"only nmt is run here, got {line!r}"
    if words[0] == "train":
        one_side = {"subwords.vocab_size": 0} if "language-model" in words else {}
        settings = (SMALL | one_side).items()
        words += [part for key, value in settings for part in ("--set", f"{key}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        if "<" in words:
            at = words.index("<")
            patch.setattr(
                "sys.stdin",
                io.TextIOWrapper(io.BytesIO(Path(words[at + 1]).read_bytes()), encoding="utf-8"),
            )
            del words[at : at + 2]
        if ">" in words:
            at = words.index(">")
            del words[at : at + 2]
        return main(words)


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_every_command_of_the_documents_runs(
    block: Block, house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands(block), f"{block}: a console block holds commands behind '$ '"
    if block.reason:
        pytest.skip(block.reason.strip())
    monkeypatch.chdir(house)
    for line in commands(block):
        status = run_command(line)
        assert status == 0, f"{block}: {line}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_every_python_block_of_the_documents_runs(
    block: Block, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block.reason:
        pytest.skip(block.reason.strip())
    monkeypatch.chdir(house)
    exec(compile(block.text, block.place, "exec"), {})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_the_documents_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert [line for line in lines if len(line) > 100] == []
