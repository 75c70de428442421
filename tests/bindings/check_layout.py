#!/usr/bin/env python3
"""What a binding believes of the C interface, against the headers: check_layout.py CC INCLUDE -- COMMAND...

COMMAND prints, a line each, the binding's own
    struct NAME SIZE
    field STRUCT NAME OFFSET SIZE
    constant NAME VALUE
    function NAME RESULT KIND...      void, int, u32, u64 (size_t too), bool, float, double, pointer
A C program made here prints the same of the headers in INCLUDE/cdl, compiled by CC. Exit status 1 names each difference. A
structure of parameters begins with its size, and may lack the header's last fields: the library fills them in.
Standard library only.
"""
import os
import re
import subprocess
import sys
import tempfile

HEADERS = ("cdl.h", "cdl_train.h")


def kind(c_type):
    """The kind of a C type, as it is passed."""
    c_type = re.sub(r"\bconst\b", "", c_type)
    if "*" in c_type or "(" in c_type:
        return "pointer"
    word = c_type.split()[0] if c_type.split() else "void"
    simple = {"void": "void", "bool": "bool", "float": "float", "double": "double", "size_t": "u64", "uint32_t": "u32",
              "uint64_t": "u64"}
    return simple.get(word, "int")  # the rest are int and enumerations


def split_parameters(text):
    """At the commas that are in no parentheses."""
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return parts + [part]


def header_functions(include):
    """name: [kind of the result, kinds of the parameters...]"""
    found = {}
    for header in HEADERS:
        with open(os.path.join(include, "cdl", header), encoding="utf-8") as file:
            text = re.sub(r"//[^\n]*|^#[^\n]*", "", file.read(), flags=re.MULTILINE)
        for result, name, parameters in re.findall(r"\bCDL_API\s+([\w\s]+?[\s*]+)(cdl_\w+)\s*\(((?:[^()]|\([^()]*\))*)\)\s*;", text):
            kinds = [] if parameters.strip() == "void" else [kind(p) for p in split_parameters(parameters)]
            found[name] = [kind(result), *kinds]
    return found


def c_program(lines):
    out = ["#include <cdl/cdl.h>", "#include <cdl/cdl_train.h>", "#include <stdio.h>", "int main(void) {"]
    for what, *words in lines:
        if what == "struct":
            out.append(f'printf("struct {words[0]} %zu\\n", sizeof(struct {words[0]}));')
        elif what == "field":
            struct, field = words[:2]
            out.append(f'printf("field {struct} {field} %zu %zu\\n", offsetof(struct {struct}, {field}), '
                       f'sizeof(((struct {struct} *)0)->{field}));')
        elif what == "constant":
            out.append(f'printf("constant {words[0]} %d\\n", (int){words[0]});')
    return "\n".join([*out, "return 0;", "}", ""])


def of_headers(cc, include, lines):
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
        with open(source, "w", encoding="utf-8") as file:
            file.write(c_program(lines))
        made = subprocess.run([cc, "-std=c11", "-DCDL_STATIC", "-I", include, "-o", program, source], capture_output=True, text=True)
        if made.returncode:  # a name that the headers no longer have
            sys.exit(f"FAILED: the binding names what the headers do not have\n{made.stderr}")
        return subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()


def main():
    split = sys.argv.index("--")
    cc, include = sys.argv[1:split]
    run = subprocess.run(sys.argv[split + 1:], stdout=subprocess.PIPE, text=True)
    if run.returncode:
        print("SKIPPED: the binding cannot run here" if run.returncode == 77 else f"FAILED: {sys.argv[split + 1:]}: status {run.returncode}")
        sys.exit(run.returncode)
    lines = [line.split() for line in run.stdout.splitlines() if line]
    functions = {words[0]: words[1:] for what, *words in lines if what == "function"}
    rest = [line for line in lines if line[0] != "function"]
    declared, problems, notes = header_functions(include), [], []
    if len(declared) < 40:
        problems.append(f"only {len(declared)} functions were found in the headers of {include}")
    if not functions or not rest:
        problems.append("the binding told of no functions, or of no structures")
    for name, kinds in functions.items():
        if declared.get(name) != kinds:
            problems.append(f"{name}: the binding has {kinds}, the header {declared.get(name, 'no such function')}")
    for mine, c in zip(rest, of_headers(cc, include, rest)):
        if mine != c.split():
            if mine[0] == "struct" and mine[1].endswith("_params") and int(mine[2]) < int(c.split()[2]):
                notes.append(f"{mine[1]}: the header has {c.split()[2]} bytes, the binding the first {mine[2]}")
            else:
                problems.append(f"the binding has '{' '.join(mine)}', the header '{c}'")
    missing = sorted(set(declared) - set(functions))
    if missing:
        notes.append(f"not in the binding: {', '.join(missing)}")
    print("\n".join(notes + problems))
    print(f"{len(functions)} functions, {len(rest)} sizes, offsets and constants, {len(problems)} of them wrong")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
