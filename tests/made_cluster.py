"""A Dask cluster for tests: real processes, as a user starts them."""

import os
import subprocess
import sys

import yaml
from made_processes import wait_until


class Cluster:
    """A scheduler and workers, each a process as a user starts it."""

    def __init__(self, folder, workers):
        self.folder, self.processes = folder, []
        note = folder / "scheduler.json"
        self.dask("scheduler", "--port", "0", "--scheduler-file", note, "--no-dashboard")
        wait_until(lambda: note.exists() and note.read_text().endswith("}"))
        self.address = yaml.safe_load(note.read_text())["address"]
        self.workers = [self.worker() for _ in range(workers)]

    def dask(self, *arguments, **environment):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment
        command = [sys.executable, "-m", "dask", *map(str, arguments)]
        with open(self.folder / "log", "a") as log:
            options = {"stdout": log, "stderr": log, "cwd": self.folder, "env": environment}
            self.processes.append(subprocess.Popen(command, **options))
        return self.processes[-1]

    def worker(self, *more, threads=1, **environment):
        options = ("--nthreads", threads, "--no-nanny", "--no-dashboard", "--local-directory", self.folder)
        return self.dask("worker", self.address, *options, *more, **environment)

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
