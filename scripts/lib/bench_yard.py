"""Hosts to measure on, and a mirror for them, for bench_pods.py (tests/yard).

As a program it serves a directory at port 8000, and prints the size of each file that it served.
"""

import concurrent.futures
import functools
import http.server
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HOSTS = ["r1", "r2", "r3", "n1", "n2"]
PATIENCE = 600


@dataclass
class Result:
    """The measurements of a run."""

    seconds: float = 0.0
    cpu: float = 0.0
    downloaded: int = 0
    # Names and durations, in the order in which they ended.
    parts: list = field(default_factory=list)


class Yard:
    """Five hosts that are deleted with everything in them at the end."""

    def __init__(self, program, scratch, name, layer=None):
        self.program, self.name = program, f"bench-{name}"
        layers = ["--layer", str(layer)] if layer else []
        command = [program, "up", self.name, "--hosts", ",".join(HOSTS), *layers]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addresses, self.key, self.id = {}, None, None
        for line in self.process.stdout:
            if found := re.match(r"(\S+) \(owner \d+, key (.*)\)", line):
                self.id, self.key = found.groups()
            elif found := re.match(r"  (\S+) +([0-9.]+) ", line):
                self.addresses[found[1]] = found[2]
            elif "Ctrl-C" in line:
                break
        else:
            raise SystemExit(f"the hosts of {self.name} didn't boot")
        self.directory = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=scratch))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def on(self, host, script, stdin=None):
        """Runs a shell script on a host and returns its output."""
        return self.run("run", host, "--", "sh", "-euc", script, stdin=stdin)

    def on_all(self, script, hosts=HOSTS):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda host: self.on(host, script), hosts))

    def run(self, *arguments, stdin=None):
        command = [self.program, "--yard", self.id, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)[:200]}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def inside(self, command, environment):
        """A command of this machine, to run in the hosts' network."""
        words = [f"{name}={value}" for name, value in environment.items()]
        return [self.program, "--yard", self.id, "exec", "--", "env", *words, *command]

    def cpu(self):
        """The hosts' CPU time so far, in seconds."""
        total = 0.0
        for kind, name, unit in (("cpuacct", "cpuacct.usage", 1e9), ("", "cpu.stat", 1e6)):
            file = Path("/sys/fs/cgroup", kind, self.id, name)
            if file.exists():
                total = float(re.search(r"\d+", file.read_text())[0]) / unit
                break
        return total

    def until(self, what, test):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if test():
                    return
            except SystemExit as error:
                last = error
            else:
                last = "not yet"
            time.sleep(0.2)
        raise SystemExit(f"{what}: {last}")


class Mirror(http.server.SimpleHTTPRequestHandler):
    """Serves files, and prints their sizes to standard output."""

    def log_message(self, *_):
        pass

    def copyfile(self, source, outputfile):
        try:
            super().copyfile(source, outputfile)
        except ConnectionError:
            # A client that only checked for the file, and may not have read it.
            return
        # Threads share standard output, so each line is one write.
        os.write(1, f"{os.fstat(source.fileno()).st_size}\n".encode())


class Served:
    """A mirror in the yard's network, for the duration of the block."""

    def __init__(self, yard, directory):
        command = yard.inside([sys.executable, __file__, str(directory)], {})
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.bytes = 0
        self.process.stdout.readline()
        threading.Thread(target=self.count, daemon=True).start()

    def count(self):
        for line in self.process.stdout:
            self.bytes += int(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Clock:
    """Measures the block's duration and the hosts' CPU time."""

    def __init__(self, yard, result):
        self.yard, self.result = yard, result

    def __enter__(self):
        self.began, self.cpu = time.monotonic(), self.yard.cpu()

    def __exit__(self, *_):
        self.result.seconds = time.monotonic() - self.began
        self.result.cpu += self.yard.cpu() - self.cpu


def serve(directory):
    handler = functools.partial(Mirror, directory=directory)
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 8000), handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
