#!/usr/bin/env python3
"""Makes a wheel of the package cardinal_vk with the shared library in it.

usage: make_wheel.py LIBRARY FOLDER      for example: make_wheel.py build/engine/libcardinal.so build/wheel
Writes FOLDER/cardinal_vk-VERSION-py3-none-manylinux_X_Y_MACHINE.whl and prints its path. X.Y is the newest glibc that a
symbol of the library asks for, as PEP 600 has it: the wheel runs there and on what is newer. Fails where the library needs
one that PEP 600 does not allow. Standard library only, and readelf (Debian: binutils); Linux with glibc.
"""
import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ALLOWED = re.compile(r"(lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so\.\d+|ld-linux[^/]*\.so\.\d+)")
MACHINES = {"Advanced Micro Devices X86-64": "x86_64", "AArch64": "aarch64"}

METADATA = """\
Metadata-Version: 2.1
Name: cardinal-vk
Version: {version}
Summary: ResNeXt image classifiers on any vendor's GPU through Vulkan
License: MIT
License-File: LICENSE
License-File: THIRD-PARTY-NOTICES
Requires-Python: >=3.8
Requires-Dist: numpy
Provides-Extra: pictures
Requires-Dist: Pillow; extra == "pictures"
Description-Content-Type: text/markdown

"""
WHEEL = """\
Wheel-Version: 1.0
Generator: cardinal make_wheel.py
Root-Is-Purelib: false
Tag: {tag}
"""


def fail(message):
    sys.exit(f"make_wheel.py: {message}")


def readelf(*arguments):
    try:
        return subprocess.run(["readelf", "-W", *arguments], capture_output=True, text=True, check=True,
                              env=dict(os.environ, LC_ALL="C")).stdout
    except FileNotFoundError:
        fail("readelf is not installed (Debian: binutils)")
    except subprocess.CalledProcessError as e:
        fail(f"{arguments[-1]} is no shared library: {e.stderr.strip()}")


def measure(library):
    """(SONAME, platform tag) of a library."""
    dynamic, versions = readelf("-d", library), readelf("-V", library)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    soname = re.search(r"\(SONAME\).*\[(.*)\]", dynamic)
    machine = MACHINES.get(re.search(r"Machine:\s*(.*)", readelf("-h", library))[1])
    others = [name for name in needed if not ALLOWED.fullmatch(name)]
    if not soname or not soname[1].startswith("libcardinal.so."):
        fail(f"{library} is not the shared library libcardinal.so")
    if others:
        fail(f"{library}: needs {', '.join(others)}, which PEP 600 does not allow")
    if not machine:
        fail(f"{library}: is for a machine other than {' and '.join(MACHINES.values())}")
    newest = max((int(a), int(b)) for a, b in re.findall(r"GLIBC_(\d+)\.(\d+)", versions))
    return soname[1], f"manylinux_{newest[0]}_{newest[1]}_{machine}"


def header_version():
    with open(os.path.join(ROOT, "engine/include/cdl/cdl.h"), encoding="utf-8") as file:
        return ".".join(re.findall(r"^#define CDL_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", file.read(), re.MULTILINE))


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def contents(library, version, soname, tag):
    """(name, bytes) of all but RECORD."""
    info = f"cardinal_vk-{version}.dist-info"
    package = os.path.join(HERE, "cardinal_vk")
    for name in sorted(os.listdir(package)):
        if name.endswith(".py") and name != "_version.py" or name == "py.typed":
            yield f"cardinal_vk/{name}", read(package, name)
    yield "cardinal_vk/_version.py", f'VERSION = "{version}"\n'.encode()
    yield f"cardinal_vk/{soname}", read(library)
    for name in ("LICENSE", "THIRD-PARTY-NOTICES"):
        yield f"{info}/{name}", read(ROOT, name)
    yield f"{info}/METADATA", METADATA.format(version=version).encode() + read(HERE, "README.md")
    yield f"{info}/WHEEL", WHEEL.format(tag=tag).encode()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    library, folder = sys.argv[1:]
    version = header_version()
    soname, platform = measure(library)
    tag = f"py3-none-{platform}"
    path = os.path.join(folder, f"cardinal_vk-{version}-{tag}.whl")
    os.makedirs(folder, exist_ok=True)
    # The same files give the same wheel; zip knows no time before 1980.
    moment = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), 315532800))[:6]
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path + ".tmp", "w", zipfile.ZIP_DEFLATED) as wheel:
        def add(name, data):
            entry = zipfile.ZipInfo(name, moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if ".so" in name else 0o644) << 16
            wheel.writestr(entry, data)

        for name, data in contents(library, version, soname, tag):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.writerow([name, f"sha256={digest}", len(data)])
            add(name, data)
        listed = f"cardinal_vk-{version}.dist-info/RECORD"
        rows.writerow([listed, "", ""])
        add(listed, record.getvalue())
    os.replace(path + ".tmp", path)
    print(path)


if __name__ == "__main__":
    main()
