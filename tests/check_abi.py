#!/usr/bin/env python3
"""The binary interface of libcardinal.so, compared with the one that is kept in tests/golden/abi: name of the library,
exported symbols, every function as declared, sizes and offsets of every public structure, values of every constant.

usage: check_abi.py LIBRARY [--update]      LIBRARY: libcardinal.so; --update keeps what it finds
       check_abi.py --self-test             changes that break programs are seen
CC: the compiler, else cc. VULKAN_INCLUDE: a folder of Vulkan's headers that is no system's. Exit status 77: skipped.
"""
import difflib
import os
import platform
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = os.path.join(ROOT, "engine", "include")
HEADERS = ["cdl.h", "cdl_vulkan.h", "cdl_train.h"]
KEPT = os.path.join(ROOT, "tests", "golden", "abi", "linux-x86_64.txt")
CHANGED = """
The interface of libcardinal changed: - is what tests/golden/abi keeps, + what was built.
By accident? Undo it: programs that were linked with the library may break.
On purpose: say it in CHANGELOG.md; raise CDL_VERSION_MINOR in engine/include/cdl/cdl.h if the version that has the kept
one was released; then run tests/check_abi.py %s --update and commit what it writes."""


def split(text, separator):
    """text at each separator that is in no brackets, stripped, without empty parts."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "({[") - (c in ")}]")
        if c == separator and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [p.strip() for p in parts + [text[start:]] if p.strip()]


def members(body, prefix=""):
    """(name for offsetof, declaration) of each member."""
    for statement in split(body, ";"):
        nested = re.match(r"(struct|union) \{(.*)\} (\w+)$", statement)
        if nested:
            yield from members(nested[2], f"{prefix}{nested[3]}.")
            continue
        function = re.search(r"\(\*(\w+)\)", statement)
        if function:
            yield prefix + function[1], statement
            continue
        for part in split(statement, ","):
            yield prefix + re.search(r"(\w+)( *\[[^]]*\])*$", part)[1], statement


class Interface:
    """What headers say, and what a compiler makes of it."""

    def __init__(self, texts):
        self.structs, self.constants, self.functions = {}, [], []
        for text in texts:
            self.read(re.sub(r"//[^\n]*", "", text).replace("\\\n", " "))

    def read(self, text):
        for name, value in re.findall(r"^#define (CDL_\w+)[ \t]+(\S.*)$", text, re.MULTILINE):
            if not name.startswith(("CDL_API", "CDL_VERSION", "CDL_STRUCT_SIZE")):
                self.constants.append(name)
        text = re.sub(r"^[ \t]*#.*$", "", text, flags=re.MULTILINE).replace('extern "C" {', "")
        text = re.sub(r"CDL_STRUCT_SIZE\(\w+\)", "struct_size", re.sub(r"\s+", " ", text))
        for statement in split(text.strip().rstrip("}"), ";"):
            whole = re.match(r"(?:typedef )?(struct|enum) (\w+ )?\{(.*)\}", statement)
            if statement.startswith("CDL_API "):
                self.functions.append(statement[len("CDL_API "):])
            elif whole and whole[1] == "struct":
                self.structs[whole[2].strip()] = list(members(whole[3]))
            elif whole:
                self.constants += [re.match(r"\w+", part)[0] for part in split(whole[3], ",")]
            elif not re.match(r"typedef struct \w+ \w+$", statement):
                raise SystemExit(f"check_abi.py does not understand this declaration; teach it: {statement}")

    def program(self):
        lines = ["#include <stdio.h>"] + [f'#include "cdl/{h}"' for h in HEADERS] + ["int main(void) {"]
        for name in self.constants:
            lines.append(f'    printf("constant {name} %lld\\n", (long long){name});')
        for struct, fields in self.structs.items():
            lines.append(f'    printf("struct {struct} %zu\\n", sizeof(struct {struct}));')
            for name, declaration in fields:
                lines.append(f'    printf("    %zu %zu %s: %s\\n", offsetof(struct {struct}, {name}), '
                             f'sizeof(((struct {struct} *)0)->{name}), "{name}", "{declaration}");')
        return "\n".join(lines + ["    return 0;", "}", ""])

    def text(self, include=INCLUDE):
        with tempfile.TemporaryDirectory() as folder:
            source, program = os.path.join(folder, "abi.c"), os.path.join(folder, "abi")
            with open(source, "w", encoding="utf-8") as f:
                f.write(self.program())
            vulkan = ["-I" + os.environ["VULKAN_INCLUDE"]] if os.environ.get("VULKAN_INCLUDE") else []
            subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-I" + include, *vulkan, source, "-o", program], check=True)
            values = subprocess.run([program], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
        return values + "".join(f"function {f}\n" for f in self.functions)


def read_headers(include=INCLUDE):
    texts = []
    for name in HEADERS:
        with open(os.path.join(include, "cdl", name), encoding="utf-8") as f:
            texts.append(f.read())
    return texts


def of_library(path):
    def tool(*command):
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    soname = re.search(r"\(SONAME\).*\[(.*)\]", tool("readelf", "-d", path))
    symbols = sorted({line.split()[-1] for line in tool("nm", "-D", "--defined-only", path).splitlines()})
    return f"soname {soname[1] if soname else 'none'}\n" + "".join(f"symbol {s}\n" for s in symbols)


def self_test():
    headers = read_headers()
    kept = Interface(headers).text()
    changes = [
        (0, "int width, height; // as stored", "int height, width; // as stored"),
        (0, "const char *labels_from;", "const char *more, *labels_from;"),
        (0, "CDL_ERR_IO = -3", "CDL_ERR_IO = -9"),
        (0, "int class_id, float *out", "unsigned class_id, float *out"),
    ]
    tried = 0
    for header, before, after in changes:
        if before not in headers[header]:
            continue  # the header was rewritten; at least three of them must still be there
        tried += 1
        with tempfile.TemporaryDirectory() as include:
            os.mkdir(os.path.join(include, "cdl"))
            texts = list(headers)
            texts[header] = texts[header].replace(before, after, 1)
            for name, text in zip(HEADERS, texts):
                with open(os.path.join(include, "cdl", name), "w", encoding="utf-8") as f:
                    f.write(text)
            if Interface(texts).text(include) == kept:
                raise SystemExit(f"not seen: '{before}' became '{after}'")
    if tried < 3:
        raise SystemExit("the changes to try are no longer in the headers; choose others in self_test()")
    print(f"{tried} changes were seen")


def main():
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        print("SKIPPED: what is kept is the interface on Linux, x86-64")
        return 77
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--update"]):
        raise SystemExit(__doc__)
    found = of_library(sys.argv[1]) + Interface(read_headers()).text()
    if sys.argv[2:]:
        os.makedirs(os.path.dirname(KEPT), exist_ok=True)
        with open(KEPT, "w", encoding="utf-8") as f:
            f.write(found)
        print(f"{len(found.splitlines())} lines are in {os.path.relpath(KEPT)}")
        return 0
    with open(KEPT, encoding="utf-8") as f:
        kept = f.read()
    if found != kept:
        sys.stdout.writelines(difflib.unified_diff(kept.splitlines(True), found.splitlines(True), "kept", "built", n=2))
        print(CHANGED % os.path.relpath(sys.argv[1]))
        return 1
    print(f"{len(found.splitlines())} lines of symbols, constants, structures and functions are as kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
