#!/usr/bin/env python3
"""The engine's rooms, and that includes run one way through them: check_rooms.py [REPOSITORY | --self-test]

A folder of engine/ is a room. Its files may include their own room's and those of the rooms below it, never one above,
and name another room in the path ("plan/plan.h"). This prints how large every room is and which rooms it includes, how
often; then what breaks the rules. Exit status 1: something does. --self-test checks this script on small trees that
break one rule each.

Rules: an include runs upward; a .c or .h lies directly in engine/, or in a folder that is no room; headers include each
other in a circle; another room's file is included without its room; a program in apps/ includes more of the engine than
<cdl/...>; memory is mapped elsewhere than in MAPPERS. Tests may include anything.
"""
import pathlib
import re
import sys
import tempfile

# From the bottom up. Rooms on one line stand beside each other: neither includes the other.
ORDER = [
    ["include"],  # the public headers, cdl/*.h
    ["base"],
    ["model"],
    ["graph"],
    ["kernels"],
    ["plan"],
    ["vulkan"],
    ["tune"],
    ["session", "train"],
]
# What maps memory for the host: results that it reads, and uploads that it can only write (vulkan/upload.h says why).
MAPPERS = {"engine/vulkan/memory.c", "engine/vulkan/upload.c"}
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".c", ".h") and p.is_file())


class Tree:
    def __init__(self, root):
        self.root = root
        self.engine = root / "engine"
        self.problems = []
        self.upward = 0
        self.files = {}  # room -> number of files
        self.lines = {}
        self.arrows = {}  # (from, to) -> number of includes
        self.headers = {}  # header -> headers that it includes
        self.by_name = {}  # file name -> the engine's files of that name
        for path in sources(self.engine):
            self.by_name.setdefault(path.name, []).append(path)

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def room(self, path):
        """Of an engine file; "" where it lies in none."""
        parts = path.relative_to(self.engine).parts
        return parts[0] if len(parts) > 1 else ""

    def includes(self, path):
        """(place, how it is written, the engine's file that is meant or None) for each include of `path`."""
        text = path.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            place = f"{self.name(path)}:{text.count(chr(10), 0, match.start()) + 1}"
            written = match[2]
            candidates = [self.engine / written, self.engine / "include" / written]
            if match[1] == '"':  # as a compiler does: beside the file first
                candidates.insert(0, path.parent / written)
            yield place, written, next((c.resolve() for c in candidates if c.is_file()), None)

    def check_engine_include(self, path, place, written, target):
        if target is None or not target.is_relative_to(self.engine):
            strays = [p for p in self.by_name.get(pathlib.PurePath(written).name, []) if p != path]
            if target is not None:
                self.problems.append(f"{place}: includes {self.name(target)}, which is not the engine's")
            elif strays:
                self.problems.append(f'{place}: "{written}" means {self.name(strays[0])}; say its room in the path')
            return
        here, there = self.room(path), self.room(target)
        if path.suffix == ".h":
            self.headers.setdefault(path, []).append((place, target))
        if here == there:
            return
        self.arrows[here, there] = self.arrows.get((here, there), 0) + 1
        if there != "include" and not written.startswith(there + "/"):
            self.problems.append(f'{place}: "{written}" means {self.name(target)}; say its room in the path')
        if LEVEL.get(there, 0) >= LEVEL.get(here, len(ORDER)):
            self.upward += 1
            way = "beside" if LEVEL[there] == LEVEL[here] else "above"
            self.problems.append(f"{place}: {here} includes {written}, but {there} is {way} it")

    def check_engine(self):
        for path in sources(self.engine):
            room = self.room(path)
            if not room:
                self.problems.append(f"{self.name(path)}: lies directly in engine/; it belongs into a room")
                continue
            if room not in LEVEL:
                self.problems.append(f"{self.name(path)}: {room} is no room that check_rooms.py knows; add it to ORDER")
                continue
            self.files[room] = self.files.get(room, 0) + 1
            text = path.read_text(encoding="utf-8")
            self.lines[room] = self.lines.get(room, 0) + text.count("\n")
            if re.search(r"\bMapMemory\(", text) and self.name(path) not in MAPPERS:
                self.problems.append(f"{self.name(path)}: maps memory, which vulkan/upload.h writes and CDL_MEMORY_READBACK reads")
            for place, written, target in self.includes(path):
                self.check_engine_include(path, place, written, target)

    def check_circles(self):
        done = set()

        def visit(header, way):
            for place, target in self.headers.get(header, []):
                if target in way:
                    circle = [self.name(p) for p in way[way.index(target):] + [target]]
                    self.problems.append(f"{place}: headers include each other: {' -> '.join(circle)}")
                elif target not in done:
                    visit(target, way + [target])
            done.add(header)

        for header in sorted(self.headers):
            if header not in done:
                visit(header, [header])

    def check_apps(self):
        public = self.engine / "include"
        shaders = {p.name for p in (self.root / "shaders").rglob("*.h")}
        for path in sources(self.root / "apps"):
            for place, written, target in self.includes(path):
                inside = target is not None and target.is_relative_to(self.engine) and not target.is_relative_to(public)
                own = target is not None and not target.is_relative_to(self.engine)
                if inside or (not own and pathlib.PurePath(written).name in shaders):
                    self.problems.append(f"{place}: a program includes the engine's {written}; it may include <cdl/...> alone")

    def check(self):
        self.check_engine()
        self.check_circles()
        self.check_apps()
        return self.problems

    def picture(self):
        lines = []
        for room in (r for rooms in ORDER for r in rooms if r in self.files):
            arrows = sorted((LEVEL[to], to, n) for (start, to), n in self.arrows.items() if start == room and to in LEVEL)
            text = ", ".join(f"{to} {n}" + (" UP" if level >= LEVEL[room] else "") for level, to, n in arrows)
            line = f"{room:<8} {self.files[room]:3} files {self.lines[room]:6} lines   includes {text}"
            lines.append(line if arrows else line.removesuffix("   includes "))
        return "\n".join(lines)


def check(root):
    tree = Tree(root.resolve())
    problems = tree.check()
    if not tree.files:
        problems.append(f"{root}: no engine/ with rooms in it")
    print(tree.picture())
    print("\n".join(problems), end="\n" if problems else "")
    print(f"{sum(tree.files.values())} files, {sum(tree.arrows.values())} includes between rooms, {tree.upward} upward")
    return 1 if problems else 0


# ---- the test of this script

SOUND = {
    "engine/include/cdl/cdl.h": "#include <stdint.h>\n",
    "engine/base/base.h": '#include "cdl/cdl.h"\n',
    "engine/base/base.c": '#include "base/base.h"\n#include "base.h"\n',
    "engine/model/model.h": '#include "base/base.h"\n',
    "engine/session/session.h": '// #include "train/train.h"\n#include "model/model.h"\n',
    "engine/train/train.h": '#include "model/model.h"\n',
    "shaders/include/params.h": "",
    "apps/tool/model.h": '#include "cdl/cdl.h"\n',
    "apps/tool/main.c": '#include "model.h"\n#include <stdio.h>\n',
    "tests/test.c": '#include "session/session.h"\n#include "params.h"\n',
}
# What is changed, and what must then be told, in the words of one problem.
BROKEN = [
    ({}, None),
    ({"engine/base/base.c": '\n#  include "model/model.h"\n'}, "engine/base/base.c:2: base includes model/model.h, but model is above"),
    ({"engine/train/a.c": '#include "session/session.h"\n'}, "engine/train/a.c:1: train includes session/session.h, but session is beside"),
    ({"engine/session/a.c": '#include "train/train.h"\n'}, "engine/session/a.c:1: session includes train/train.h, but train is beside"),
    ({"engine/include/cdl/cdl.h": '#include <base/base.h>\n', "engine/base/base.h": ""},
     "engine/include/cdl/cdl.h:1: include includes base/base.h, but base is above"),
    ({"engine/stray.c": ""}, "engine/stray.c: lies directly in engine/"),
    ({"engine/stray.h": ""}, "engine/stray.h: lies directly in engine/"),
    ({"engine/cellar/a.c": ""}, "engine/cellar/a.c: cellar is no room"),
    ({"engine/session/a.c": "vkd.MapMemory(dev, memory, 0, size, 0, &p);\n"}, "engine/session/a.c: maps memory"),
    ({"engine/base/a.h": '#include "base/b.h"\n', "engine/base/b.h": '#include "a.h"\n'},
     "engine/base/b.h:1: headers include each other: engine/base/a.h -> engine/base/b.h -> engine/base/a.h"),
    ({"engine/session/a.c": '#include "../model/model.h"\n'}, 'engine/session/a.c:1: "../model/model.h" means engine/model/model.h'),
    ({"engine/session/a.c": '#include "model.h"\n'}, 'engine/session/a.c:1: "model.h" means engine/model/model.h'),
    ({"engine/session/a.c": '#include "../../apps/tool/model.h"\n'}, "engine/session/a.c:1: includes apps/tool/model.h"),
    ({"apps/tool/main.c": '#include "session/session.h"\n'}, "apps/tool/main.c:1: a program includes the engine's session/session.h"),
    ({"apps/tool/main.c": '#include "../../engine/base/base.h"\n'}, "apps/tool/main.c:1: a program includes the engine's"),
    ({"apps/tool/main.c": '#include "params.h"\n'}, "apps/tool/main.c:1: a program includes the engine's params.h"),
]


def self_test():
    failed = 0
    for change, expected in BROKEN:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            for name, text in {**SOUND, **change}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            problems = Tree(root).check()
        right = len(problems) == 1 and expected in problems[0] if expected else not problems
        if not right:
            print(f"{', '.join(change) or 'a sound tree'}: expected {expected!r}, found {problems}")
            failed += 1
    print(f"{len(BROKEN) - failed} of {len(BROKEN)} small trees judged rightly")
    return 1 if failed else 0


def main():
    arguments = sys.argv[1:]
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    if arguments == ["--self-test"]:
        sys.exit(self_test())
    sys.exit(check(pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).parent.parent))


main()
