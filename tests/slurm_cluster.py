"""A real Slurm cluster of one node for tests: munged, slurmctld and slurmd, on the loopback
interface, in a folder of their own."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "srun")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} RealMemory={memory}
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why no cluster can be started here; None if one can."""
    missing = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if missing:
        return (
            f"Slurm is not installed ({', '.join(missing)} not found); Debian's packages are"
            " slurm-wlm and munge"
        )
    if os.geteuid() != 0:
        return "Slurm's daemons have to be started by root"
    return None


class Cluster:
    """A running cluster; commands are Slurm's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SLURM_")
        }
        self.environment |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}

    def run(self, *command: str, cwd: Path | None = None, **variables: str) -> str:
        """What a command prints on standard output; it must succeed."""
        done = subprocess.run(
            command,
            env=self.environment | variables,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self, *arguments: str, cwd: Path, **variables: str) -> str:
        """The number of a new job."""
        return self.run("sbatch", "--parsable", *arguments, cwd=cwd, **variables).strip()

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says of a job, by its names."""
        words = self.run("scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, number: str, *states: str, seconds: float = 90) -> dict[str, str]:
        """The job, once it is in one of these states."""
        deadline = time.monotonic() + seconds
        while (job := self.job(number))["JobState"] not in states:
            assert time.monotonic() < deadline, (
                f"job {number} is {job['JobState']} ({job['Reason']}), not {' or '.join(states)}"
            )
            time.sleep(0.2)
        return job


@contextmanager
def cluster(folder: Path, processors: int = 2, memory: int = 6000) -> Iterator[Cluster]:
    """A cluster of one node, for as long as the context lasts. `memory` is in MiB."""
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o400)
    settings = {
        "host": socket.gethostname(),
        "ports": _free_ports(2),
        "folder": folder,
        "processors": processors,
        "memory": memory,
    }
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**settings))
    made = Cluster(folder)
    files = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munge/pid",
        "log-file": "munge/log",
        "seed-file": "munge/seed",
    }
    munge = [
        "munged",
        "--force",
        "--foreground",
        *(f"--{option}={folder / name}" for option, name in files.items()),
    ]
    daemons = []
    try:
        for command in (munge, ["slurmctld", "-c", "-D"], ["slurmd", "-D"]):
            log = (folder / f"{command[0]}.out").open("wb")
            daemons.append(subprocess.Popen(command, env=made.environment, stdout=log, stderr=log))
            log.close()
            _until_it_answers(made, command[0])
        yield made
    finally:
        if len(daemons) == 3:
            subprocess.run(
                ["scancel", "--state=RUNNING", "--signal=KILL", "--full"],
                env=made.environment,
                capture_output=True,
                timeout=60,
            )
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _until_it_answers(cluster: Cluster, daemon: str) -> None:
    questions = {
        "munged": ["munge", "-n", f"--socket={cluster.folder}/munge.socket"],
        "slurmctld": ["scontrol", "ping"],
    }
    question = questions.get(daemon, ["sinfo", "--noheader", "--states=idle", "--format=%D"])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done = subprocess.run(question, env=cluster.environment, capture_output=True, text=True)
        if done.returncode == 0 and (
            daemon == "munged" or "UP" in done.stdout or done.stdout.strip() == "1"
        ):
            return
        time.sleep(0.1)
    raise AssertionError(
        f"{daemon} does not answer: {(cluster.folder / f'{daemon}.out').read_text()[-1000:]}"
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
