"""Installs the programs of a list from where the cluster's intent says, if their SHA-256 is the one there.

    artifacts.py LIST DIRECTORY...

LIST is JSON: [{"name", "url", "sha256", "member", "into"}]. `member` is the file's path in a .tar.gz, a directory
in it whose files are all installed if it ends with "/", or null. `into` is the directory that it goes to: one of
those on the command line, or one that the path ends with (machines of the local cloud have directories of their own).
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


def member_name(name):
    """A path in an archive without the "./" that some publishers' begin with."""
    return os.path.normpath(name)


def extract(archive, member, path):
    with tarfile.open(archive, "r:gz") as tar:
        wanted = member_name(member)
        source = next((entry for entry in tar if entry.isfile() and member_name(entry.name) == wanted), None)
        if source is None:
            sys.exit(f"{member} is no file in the archive")
        write(tar.extractfile(source), path)


def extract_all(archive, member, directory):
    """The files of a directory of the archive, by name. Nothing in a deeper one: their names might clash."""
    found = {}
    with tarfile.open(archive, "r:gz") as tar:
        for entry in tar:
            where, name = os.path.split(member_name(entry.name))
            if entry.isfile() and member_name(where or ".") == member_name(member):
                found[name] = os.path.join(directory, name)
                write(tar.extractfile(entry), found[name])
    if not found:
        sys.exit(f"there is no file in {member} of the archive")
    return found


def write(source, path):
    with source, open(path, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def installed(seal):
    """The download that the seal names, and the files with their sums; None if there is no valid seal."""
    try:
        with open(seal, encoding="ascii") as file:
            first, *lines = file.read().splitlines()
    except (OSError, ValueError):
        return None
    return first, dict(reversed(line.split("  ", 1)) for line in lines)


def install(artifact, directory):
    # The sum is the download's. Beside a program is kept which download it came from.
    seal = os.path.join(directory, f".{artifact['name']}.sha256")
    there = installed(seal)
    if there is not None and there[0] == artifact["sha256"]:
        paths = {os.path.join(directory, name): sha256 for name, sha256 in there[1].items()}
        if all(os.path.exists(path) and digest(path) == sha256 for path, sha256 in paths.items()):
            return
    with tempfile.TemporaryDirectory(dir=directory, prefix=".artifact-") as scratch:
        archive = os.path.join(scratch, "download")
        download(artifact["url"], artifact["sha256"], archive)
        member = artifact["member"]
        if member is None:
            new = {artifact["name"]: archive}
        elif member.endswith("/"):
            new = extract_all(archive, member, tempfile.mkdtemp(dir=scratch))
        else:
            new = {artifact["name"]: os.path.join(scratch, "program")}
            extract(archive, member, new[artifact["name"]])
        with open(os.path.join(scratch, "seal"), "w", encoding="ascii") as file:
            file.write(artifact["sha256"] + "\n")
            file.writelines(f"{digest(path)}  {name}\n" for name, path in sorted(new.items()))
        for name, path in new.items():
            os.chmod(path, 0o755)
            os.replace(path, os.path.join(directory, name))
        os.replace(os.path.join(scratch, "seal"), seal)
    print(f"{', '.join(sorted(new))} in {directory}: {artifact['url']}", flush=True)


def destination(into, directories):
    """The directory of this machine that the list means."""
    return next(directory for directory in directories if directory.endswith(into))


def main():
    listing, *directories = sys.argv[1:]
    with open(listing, encoding="utf-8") as file:
        artifacts = json.load(file)
    for artifact in artifacts:
        directory = destination(artifact["into"], directories)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        install(artifact, directory)


main()
