#!/usr/bin/python3
"""Every public function has a test of its misuse: check_misuse.py HEADER... -- TEST...

Tests mark themselves by `// misuse: FUNCTION` on the lines before them, and must then call the function. Prints the list of
functions with the tests of each; exit status 1 names those that have none, and marks that are wrong.
"""
import re
import sys

# What can be called wrongly only by a pointer that leads nowhere.
NOTHING_TO_MISUSE = {
    "cdl_version", "cdl_version_number", "cdl_shaders_hash", "cdl_device_get_info", "cdl_model_get_info", "cdl_session_get_info", "cdl_vk_get_handles",
    "cdl_trainer_get_info", "cdl_train_order",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def public_functions(header):
    text = re.sub(r"//[^\n]*", "", read(header))
    return re.findall(r"^CDL_API\s+(?!extern)[^;{}]*?\b(cdl_\w+)\s*\([^;{}]*\);", text, re.MULTILINE)


def marks(test):
    """(function, test's name, whether it calls the function) for each mark."""
    found = []
    for block in re.finditer(r"((?:^// misuse: \w+\n)+)static void (\w+)\(void \*\*state\) \{(.*?)^\}", read(test), re.MULTILINE | re.DOTALL):
        for function in re.findall(r"^// misuse: (\w+)$", block[1], re.MULTILINE):
            found.append((function, block[2], re.search(r"\b%s\(" % function, block[3]) is not None))
    total = len(re.findall(r"^// misuse: ", read(test), re.MULTILINE))
    if total != len(found):
        sys.exit(f"{test}: {total - len(found)} misuse marks stand before no test")
    return found


def main():
    split = sys.argv.index("--")
    functions = [f for header in sys.argv[1:split] for f in public_functions(header)]
    tests, problems = {}, []
    for path in sys.argv[split + 1:]:
        for function, test, called in marks(path):
            tests.setdefault(function, []).append(test)
            if not called:
                problems.append(f"{path}: {test} is marked for {function} and does not call it")
            if function not in functions:
                problems.append(f"{path}: {test} is marked for {function}, which is no public function")
    if len(functions) < 30:
        problems.append(f"only {len(functions)} public functions found in {' '.join(sys.argv[1:split])}")
    for function in functions:
        if function in NOTHING_TO_MISUSE:
            print(f"{function}: nothing to misuse")
        elif function in tests:
            print(f"{function}: {', '.join(tests[function])}")
        else:
            problems.append(f"{function} has no test of its misuse")
    print("\n".join(problems) or f"{len(functions)} public functions")
    sys.exit(1 if problems else 0)


main()
