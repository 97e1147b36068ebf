"""Downloads and installs the programs of a list, if their SHA-256 checksums match the list.

    artifacts.py LIST DIRECTORY...

LIST is JSON: [{"name", "url", "sha256", "member", "also", "into"}]. `member` is the file's path in a .tar.gz, or null.
If it ends with "/", it is a directory whose files are all installed. `also`, if it is there, lists files next to it
that are installed too, if the archive has them. `into` is the target directory: one of those on the
command line, or a suffix of one (machines of the local cloud have their own directories).
A program with the right checksum is kept. A new one is downloaded next to it and renamed only once its checksum has
been verified, so a partial program is never run. Every machine with cloud-init has Python.
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

# Timeout in seconds without receiving a byte.
PATIENCE = 30
# Maximum delay in seconds between attempts.
PAUSE = 60


def digest(path):
    sha256 = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha256.update(block)
    return sha256.hexdigest()


def download(url, sha256, path):
    """Retries forever: units that require this one would not be restarted if it failed."""
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
        print(f"{url}: {problem}; retrying in {pause} s", flush=True)
        time.sleep(pause)
        pause = min(2 * pause, PAUSE)


def member_name(name):
    """A path in an archive, without the leading "./" that some publishers use."""
    return os.path.normpath(name)


def extract(archive, member, path):
    """Extracts a file, and returns whether the archive has it."""
    with tarfile.open(archive, "r:gz") as tar:
        wanted = member_name(member)
        source = next((entry for entry in tar if entry.isfile() and member_name(entry.name) == wanted), None)
        if source is None:
            return False
        write(tar.extractfile(source), path)
        return True


def extract_all(archive, member, directory):
    """Extracts the files of a directory of the archive, without subdirectories: names might clash."""
    found = {}
    with tarfile.open(archive, "r:gz") as tar:
        for entry in tar:
            where, name = os.path.split(member_name(entry.name))
            if entry.isfile() and member_name(where or ".") == member_name(member):
                found[name] = os.path.join(directory, name)
                write(tar.extractfile(entry), found[name])
    if not found:
        sys.exit(f"the archive has no files in {member}")
    return found


def write(source, path):
    with source, open(path, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def installed(seal):
    """The checksums of the download and of the installed files in the seal; None if it is missing or invalid."""
    try:
        with open(seal, encoding="ascii") as file:
            first, *lines = file.read().splitlines()
    except (OSError, ValueError):
        return None
    return first, dict(reversed(line.split("  ", 1)) for line in lines)


def install(artifact, directory):
    # The list has the download's checksum. A seal next to the program records the download it came from.
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
            if not extract(archive, member, new[artifact["name"]]):
                sys.exit(f"{member} isn't a file in the archive")
            for name in artifact.get("also", []):
                path = os.path.join(scratch, f"also-{name}")
                if extract(archive, os.path.join(os.path.dirname(member), name), path):
                    new[name] = path
        with open(os.path.join(scratch, "seal"), "w", encoding="ascii") as file:
            file.write(artifact["sha256"] + "\n")
            file.writelines(f"{digest(path)}  {name}\n" for name, path in sorted(new.items()))
        for name, path in new.items():
            os.chmod(path, 0o755)
            os.replace(path, os.path.join(directory, name))
        os.replace(os.path.join(scratch, "seal"), seal)
    print(f"{', '.join(sorted(new))} in {directory}: {artifact['url']}", flush=True)


def destination(into, directories):
    """The directory on this machine for `into`."""
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
