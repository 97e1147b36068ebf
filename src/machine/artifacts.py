"""Installs the programs of a list from where the cluster's intent says, if their SHA-256 is the one there.

    artifacts.py LIST DIRECTORY

LIST is JSON: [{"name", "url", "sha256", "member"}], where `member` is the file's path in a .tar.gz, or null.
A program that is there with the right sum stays. A new one is written beside it and takes its name only once
its sum is right: no half of a program is ever run. Python is there wherever cloud-init is.
"""

import hashlib
import http.client
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.request

# Seconds without a byte.
PATIENCE = 30
# Seconds between two attempts, at most.
PAUSE = 60


def digest(path):
    sha256 = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha256.update(block)
    return sha256.hexdigest()


def download(url, sha256, path):
    """Tries until it has it: units that need this one would not be started again if it failed."""
    pause = 1
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer, open(path, "wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
            found = digest(path)
            if found == sha256:
                return
            problem = f"its SHA-256 is {found}, not {sha256}: it isn't installed"
        except (OSError, http.client.HTTPException) as error:
            problem = error
        print(f"{url}: {problem}; again in {pause} s", flush=True)
        time.sleep(pause)
        pause = min(2 * pause, PAUSE)


def extract(archive, member, path):
    with tarfile.open(archive, "r:gz") as tar:
        source = tar.extractfile(member)
        if source is None:
            sys.exit(f"{member} is no file in the archive")
        with source, open(path, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)


def install(artifact, directory):
    program = os.path.join(directory, artifact["name"])
    # The sum is the download's. Beside a program is kept which download it came from.
    seal = os.path.join(directory, f".{artifact['name']}.sha256")
    if os.path.exists(program) and os.path.exists(seal):
        with open(seal, encoding="ascii") as file:
            if file.read() == f"{artifact['sha256']} {digest(program)}\n":
                return
    with tempfile.TemporaryDirectory(dir=directory, prefix=".artifact-") as scratch:
        archive = os.path.join(scratch, "download")
        download(artifact["url"], artifact["sha256"], archive)
        new = archive
        if artifact["member"] is not None:
            new = os.path.join(scratch, "program")
            extract(archive, artifact["member"], new)
        os.chmod(new, 0o755)
        with open(os.path.join(scratch, "seal"), "w", encoding="ascii") as file:
            file.write(f"{artifact['sha256']} {digest(new)}\n")
        os.replace(new, program)
        os.replace(os.path.join(scratch, "seal"), seal)
    print(f"{program} is {artifact['url']}", flush=True)


def main():
    listing, directory = sys.argv[1:]
    os.makedirs(directory, mode=0o755, exist_ok=True)
    with open(listing, encoding="utf-8") as file:
        for artifact in json.load(file):
            install(artifact, directory)


main()
