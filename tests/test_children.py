"""No process outlives the one that started it, and a forked one can translate."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A module that takes for ever to import, in which the function to call lies.
SLOW = (
    "import os, sys, time\nprint(os.getpid(), flush=True)\nif __name__ == 'slow':\n   "
    " time.sleep(WAIT)\ndef work():\n    time.sleep(60)\n"
)
PARENT = """
import time
from nmt.worker_processes import child
if __name__ == "__main__":
    def work(): pass
    work.__module__, work.__name__ = "slow", "work"
    child(work).start()
    time.sleep(60)
"""
FORK = """
import os, sys, torch
from nmt.translation.translator import Translator
torch.set_num_threads(2)
torch.ones(300, 300) @ torch.ones(300, 300)  # with a pool of threads
torch.ones(10**6).exp()
translator = Translator.load(sys.argv[1], device="cpu", precision="fp32")
lines = ["de kat zit op een mat"] * 50
expected = translator.translate(lines)
child = os.fork()
if not child:
    torch.ones(10**6).exp()
    os._exit(translator.translate(lines) != expected)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


# A worker as it arrives, before multiprocessing has told it who its parent is.
ARRIVE = """
import os, time
from nmt.worker_processes import _arrive
numbers = iter({parents})
os.getppid = lambda: next(numbers, 1)
_arrive("json", "dumps", False, 7)
time.sleep(20)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("wait", [0, 60], ids=["at work", "importing"])
def test_a_child_is_gone_within_a_second_of_its_parent(wait: int, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW.replace("WAIT", str(wait)))
    (tmp_path / "parent.py").write_text(PARENT)
    paths = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, env=paths
    ) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        assert alive(child)
        process.send_signal(signal.SIGKILL)
    time.sleep(1)
    assert not alive(child)


@pytest.mark.parametrize("parents", ["[]", "[7]"], ids=["before it arrives", "while it imports"])
def test_a_child_ends_whose_parent_ended(parents: str) -> None:
    assert (
        subprocess.run(
            [sys.executable, "-c", ARRIVE.format(parents=parents)], timeout=15, cwd=ROOT
        ).returncode
        == 1
    )


@pytest.mark.parametrize("signalled", ["True", "False"], ids=["signal and pipe", "pipe alone"])
def test_a_watch_needs_no_signal_of_the_system(signalled: str, tmp_path: Path) -> None:
    code = f"""
import multiprocessing, os, sys, time
from nmt.worker_processes import end_with_parent
def work():
    end_with_parent({signalled}, os.getppid())
    print(os.getpid(), flush=True)
    while True:
        sum(range(1000))
if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=work, daemon=True).start()
    time.sleep(60)
"""
    (tmp_path / "parent.py").write_text(code)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        process.kill()
    time.sleep(1)
    assert not alive(child)


def test_a_process_forked_after_loading_translates(model: str) -> None:
    subprocess.run(
        [sys.executable, "-c", FORK, model],
        check=True,
        timeout=120,
        cwd=ROOT,
        env={"OMP_NUM_THREADS": "2"},
    )
