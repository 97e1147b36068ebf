"""Runs hakube through a cluster's life and prints how long each command took. Called by scripts/bench."""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ZONES = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
# The note about the one wait that etcd imposes.
ETCD_WAIT = re.compile(r"waited ([0-9.]+) s for etcd")
# Seconds that a machine of the local cloud boots after its insert operation, at Compute Engine's pace.
BOOT = 12.0
SWAP = {("deleteAccessConfig", "instances"), ("insert", "forwardingRules")}
# Events are timed when they are read, operations when they happen.
SLACK = 0.1


@dataclass
class Step:
    """A step of a plan, and when it ran."""

    needs: list
    began: float = 0.0
    ended: float = 0.0


@dataclass
class Outcome:
    """One command's events and duration."""

    seconds: float = 0.0
    peak_mb: float = 0.0
    etcd_wait: float = 0.0
    gap_ms: float | None = None
    steps: dict = field(default_factory=dict)

    def note(self, event, clock):
        match event["event"]:
            case "plan":
                self.steps |= {each["step"]: Step(each["needs"]) for each in event["steps"]}
            case "step_finished" if step := self.steps.get(event["step"]):
                step.began, step.ended = clock - event["seconds"], clock
            case "note" if found := ETCD_WAIT.search(event["text"]):
                self.etcd_wait += float(found[1])
            case "summary":
                self.gap_ms = event["endpoint_gap_ms"]


class Home:
    """A HAKUBE_HOME that is deleted with all of its processes at the end."""

    def __init__(self, hakube, time_scale):
        self.hakube = hakube
        self.directory = Path(tempfile.mkdtemp(prefix="hakube-bench.", dir="/tmp"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "HAKUBE_HOME": str(self.directory),
            # Measure hakube, not a download.
            "HAKUBE_STAND_INS": "true",
            "KUBECONFIG": str(self.directory / "kubeconfig"),
            "HAKUBE_TIME_SCALE": str(time_scale),
            "MULTIZONE": "true",
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([self.hakube, "local", "stop"], env=self.environment, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, *arguments):
        """Runs a command that prints events. Its standard error is shown if it fails."""
        outcome = Outcome()
        command = [self.hakube, *arguments, "--output", "json"]
        with tempfile.TemporaryFile() as errors:
            began = time.monotonic()
            process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=errors, text=True)
            peak = PeakMemory(process.pid)
            for line in process.stdout:
                outcome.note(json.loads(line), time.time())
            status = process.wait()
            outcome.seconds = time.monotonic() - began
            outcome.peak_mb = peak.megabytes()
            if status:
                errors.seek(0)
                raise SystemExit(f"hakube {' '.join(arguments)} failed: {errors.read().decode()}")
        return outcome

    def daemon(self):
        command = [self.hakube, "local", "status", "--output", "json"]
        return json.loads(subprocess.check_output(command, env=self.environment))

    def ask(self, path, method="GET"):
        """A response of the local cloud."""
        daemon = self.daemon()
        request = urllib.request.Request(
            daemon["url"].rstrip("/") + path.replace("PROJECT", daemon["project"]),
            headers={"Authorization": f"Bearer {Path(daemon['token_file']).read_text().strip()}"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def status(self):
        """The CPU time in seconds and the peak memory in MB of one `hakube status`."""
        pid = os.posix_spawn(
            self.hakube,
            [self.hakube, "status", "--output", "json"],
            self.environment,
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)],
        )
        _, status, usage = os.wait4(pid, 0)
        if status:
            raise SystemExit("hakube status failed")
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def operations(self):
        """The local cloud's operations so far."""
        scopes = self.ask("/compute/v1/projects/PROJECT/aggregated/operations")["items"].values()
        return [Operation.parse(each) for scope in scopes for each in scope.get("operations", [])]


class PeakMemory:
    """The largest resident set of a process, polled, because the kernel drops it when the process exits."""

    def __init__(self, pid):
        self.pid = pid
        self.kilobytes = 0
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while (now := high_water_mark(self.pid)) is not None:
            self.kilobytes = max(self.kilobytes, now)
            time.sleep(0.001)

    def megabytes(self):
        self.thread.join()
        return self.kilobytes / 1024


def high_water_mark(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    match = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) if match else None


@dataclass
class Operation:
    """An operation of the local cloud."""

    verb: str
    kind: str  # of its target: instances, disks, ...
    began: float
    ended: float

    @staticmethod
    def parse(item):
        def clock(name):
            return datetime.datetime.fromisoformat(item[name]).timestamp()

        return Operation(item["operationType"], item["targetLink"].split("/")[-2], clock("insertTime"), clock("endTime"))

    @property
    def seconds(self):
        return self.ended - self.began

    def step(self, steps):
        """The step that waited for it: of those in progress, the first to end after it."""
        under_way = (
            key for key, step in steps.items()
            if step.began - SLACK <= self.began and self.ended <= step.ended + SLACK
        )
        return min(under_way, key=lambda key: steps[key].ended, default=None)


def longest_chain(steps, operations):
    """A lower bound for a command's duration: operations and boots along the plan's longest chain."""
    own = {key: [] for key in steps}
    for operation in operations:
        if key := operation.step(steps):
            own[key].append(operation)
    # A machine boots after its operation is done. The next step, its secrets, waits for that.
    chains = {}
    for key, step in steps.items():  # in topological order
        before = max((chains[need] for need in step.needs), default=0.0)
        boot = BOOT if key.startswith("secrets/") and step.needs else 0.0
        chains[key] = before + covered(own[key]) + boot
    return max(chains.values(), default=0.0)


def covered(operations):
    """The time during which at least one of them was in progress."""
    total, until = 0.0, 0.0
    for operation in sorted(operations, key=lambda each: each.began):
        total += max(0.0, operation.ended - max(until, operation.began))
        until = max(until, operation.ended)
    return total


def live(hakube, time_scale):
    """A cluster's life, from nothing to three replicas and back to nothing."""
    with Home(hakube, time_scale) as home:
        outcomes = {"up": home.run("up", "--zone", ZONES[0])}
        outcomes["1 to 2"] = home.run("replicate", "--zone", ZONES[1])
        outcomes["2 to 3"] = home.run("replicate", "--zone", ZONES[2])
        daemon_mb = high_water_mark(home.daemon()["pid"]) / 1024
        outcomes["down"] = home.run("down", "--yes")
        return outcomes, daemon_mb, home.operations()


def unpaced(hakube, runs):
    lives = [live(hakube, 0) for _ in range(runs)]

    def each(pick):
        return [pick(outcomes) for outcomes, _, _ in lives]

    peaks = [max(outcome.peak_mb for outcome in outcomes.values()) for outcomes, _, _ in lives]
    table(
        f"Operations take no time, {runs} runs",
        [
            row("up, until the endpoint is ready", "s", each(lambda o: o["up"].seconds)),
            row("replicate, 1 to 2", "s", each(lambda o: o["1 to 2"].seconds)),
            row("  endpoint's gap", "ms", each(lambda o: o["1 to 2"].gap_ms)),
            row("replicate, 2 to 3", "s", each(lambda o: o["2 to 3"].seconds)),
            row("  of which etcd's own interval", "s", each(lambda o: o["2 to 3"].etcd_wait)),
            row("  without it", "s", each(lambda o: o["2 to 3"].seconds - o["2 to 3"].etcd_wait)),
            row("down, with 3 replicas", "s", each(lambda o: o["down"].seconds)),
            row("hakube --help", "ms", [help_ms(hakube) for _ in range(20)]),
            row("hakube's peak memory", "MB", peaks),
            row("the daemon's peak memory, 3 replicas", "MB", [daemon for _, daemon, _ in lives]),
        ],
    )


def crowded(hakube, instances):
    """`hakube status` in a project with many other instances."""
    with Home(hakube, 0) as home:
        home.environment["NUM_NODES"] = "0"
        home.run("up", "--zone", ZONES[0])
        rows = []
        for others in (0, instances):
            if others:
                home.ask(f"/local/v1/crowd?count={others}", method="POST")
            last = max(each["ordinal"] for each in home.ask("/local/v1/requests")["requests"])
            cpu, peak_mb = home.status()
            asked = home.ask(f"/local/v1/requests?after={last}")["requests"]
            rows += [
                row(f"requests, {others} other instances", "", [len(asked)]),
                row("  hakube's CPU time", "s", [cpu]),
                row("  hakube's peak memory", "MB", [peak_mb]),
            ]
        table("hakube status, of one replica in a project with others", rows)


def hollow(hakube, nodes):
    """A cluster with that many nodes, until all are ready."""
    with Home(hakube, 0) as home:
        home.environment["NUM_NODES"] = str(nodes)
        outcome = home.run("up", "--zone", ZONES[0])
        status = json.loads(subprocess.check_output([hakube, "status", "--output", "json"], env=home.environment))
        ready = sum(node["ready"] is True for node in status["nodes"])
        if ready != nodes:
            raise SystemExit(f"hakube up ended with {ready} of {nodes} nodes ready")
        memory = resident_below(home.directory)
        table(
            f"hakube up with NUM_NODES={nodes}, until all are ready",
            [
                row("time", "s", [outcome.seconds]),
                row("hakube's peak memory", "MB", [outcome.peak_mb]),
                row("the daemon's peak memory", "MB", [high_water_mark(home.daemon()["pid"]) / 1024]),
                row("all processes together, shared pages once each", "MB", [memory]),
            ],
        )


def resident_below(directory):
    """Memory in MB of all processes of this home (PSS)."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(directory).encode() in (process / "environ").read_bytes():
                found = re.search(r"^Pss:\s+(\d+)", (process / "smaps_rollup").read_text(), re.MULTILINE)
                total += int(found[1])
        except OSError:
            continue
    return total / 1024


def paced(hakube, runs):
    lives = [live(hakube, 1) for _ in range(runs)]
    rows = []
    for name in ("up", "1 to 2", "2 to 3", "down"):
        walls = [outcomes[name].seconds for outcomes, _, _ in lives]
        chains = [longest_chain(outcomes[name].steps, operations) for outcomes, _, operations in lives]
        rows.append(row(name if name in ("up", "down") else f"replicate, {name}", "s", walls))
        rows.append(row("  longest chain of operations and boots", "s", chains))
        if name == "2 to 3":
            rows.append(row("  etcd's own interval", "s", [outcomes[name].etcd_wait for outcomes, _, _ in lives]))
    rows.append(row("endpoint's gap, 1 to 2", "ms", [outcomes["1 to 2"].gap_ms for outcomes, _, _ in lives]))
    rows.append(row("  the two operations of the swap", "ms", [swap_ms(operations) for _, _, operations in lives]))
    table(f"Operations take as long as Compute Engine's, {runs} run{'s' * (runs > 1)}", rows)


def swap_ms(operations):
    """The duration of the two operations that move the address."""
    two = [each for each in operations if (each.verb, each.kind) in SWAP]
    return 1000 * sum(operation.seconds for operation in two)


def help_ms(hakube):
    began = time.monotonic()
    subprocess.run([hakube, "--help"], stdout=subprocess.DEVNULL, check=True)
    return (time.monotonic() - began) * 1000


def row(name, unit, values):
    form = "{:.2f}" if unit == "s" else "{:.0f}" if max(values) >= 100 else "{:.1f}"
    return (name, *(form.format(of(values)) for of in (statistics.median, min, max)), unit)


def table(title, rows):
    rows = [("", "median", "min", "max", ""), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    print(f"\n{title}\n")
    for name, *numbers, unit in rows:
        cells = [name.ljust(widths[0]), *(text.rjust(width) for text, width in zip(numbers, widths[1:])), unit]
        print("  " + "  ".join(cells).rstrip())


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    kilobytes = int(re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    etcd = subprocess.check_output(["etcd", "--version"], text=True).splitlines()[0]
    parts = [f"{os.cpu_count()} CPUs", cpu[1] if cpu else platform.machine(), f"{kilobytes / 2**20:.0f} GB", system]
    return ", ".join([*parts, f"Linux {platform.release()}", etcd])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hakube", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--paced-runs", type=int, default=1)
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--nodes", type=int, default=200)
    arguments = parser.parse_args()
    # An interrupted run cleans up like one that fails.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    if arguments.runs:
        unpaced(arguments.hakube, arguments.runs)
    if arguments.instances:
        crowded(arguments.hakube, arguments.instances)
    if arguments.nodes:
        hollow(arguments.hakube, arguments.nodes)
    if arguments.paced_runs:
        paced(arguments.hakube, arguments.paced_runs)


main()
