#!/usr/bin/env python3
"""The options of the programs: what --help shows is taken, what it does not show is refused; manual pages, completion.

usage: test_options.py [FOLDER [unittest's arguments]]     FOLDER: of the build; else build
Standard library only; needs no device. Every option of every command is read from --help, and so tried when it is new.
"""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
DONE, USAGE = 0, 2
# Values for placeholders that are no list of words. The first must be taken; those behind None must be refused.
VALUES = {
    "N": ["3", None, "x", "-1", "3x", ""], "K": ["3", None, "x", "0"], "S": ["2.5", None, "x", "-1"], "SECONDS": ["0.5", None, "x", "0", "4000"], "RATIO": ["0.95", None, "x", "0", "-1"],
    "RATE": ["0.1", "0", "1e-4", None, "x", "-1", ""], "SHARE": ["0.5", "0", None, "x", "2", "-0.1"], "FACTOR": ["0.5", None, "x", "2"],
    "NORM": ["1.5", "0", None, "x", "-1"], "ALPHA": ["0.2", "0", None, "x", "2"], "DECAY": ["0.999", "0", None, "x", "2"],
    "N|HxW": ["64", "32x64", None, "x", "0", "32x", "x32", "99999"], "WxH": ["640x480", None, "640", "1x1", "x"],
    "KEY=VALUE": ["input_size=32", "labels=", None, "novalue", "=x"], "FILE": ["some file", "-file"], "DIR": ["some folder"],
}
LISTS = {"arch": ["resnet18,resnet34"], "precision": ["fp32", "auto,fp16", None, "fp8", "fp32,", ","], "batch": ["1", "1,8,32", None, "0", "1,,2", "x"]}


class Option:
    def __init__(self, letter, name, value):
        self.letter, self.name, self.value = letter, name, value

    def words(self):
        """All the values there are, or None."""
        return self.value.split("|") if self.value and re.fullmatch(r"[a-z0-9]+(\|[a-z0-9]+)+", self.value) else None

    def values(self):
        """(taken, refused)"""
        if self.words():
            return self.words(), ["no-such-word", self.words()[0].upper(), ""]
        listed = LISTS.get(self.name, ["a,b"]) if self.value.startswith("LIST") else VALUES.get(self.value, ["some text"])
        cut = listed.index(None) if None in listed else len(listed)
        return listed[:cut], listed[cut + 1:]


class Program:
    def __init__(self, name):
        self.name, self.path = name, os.path.join(BUILD, name)
        self.help = self.run("--help").stdout
        names = re.findall(r"^  ([a-z]+) +[a-z]", self.help, re.MULTILINE) if "COMMAND" in self.help else []
        self.commands = {c: self.read(self.run(c, "--help").stdout) for c in names} or {"": self.read(self.help)}

    def run(self, *args):
        done = subprocess.run([self.path, *[a for a in args if a is not None]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, env=dict(os.environ, VK_DRIVER_FILES="/nonexistent"))
        done.stdout, done.stderr = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        if done.returncode < 0 or done.returncode > 4 or "Sanitizer" in done.stderr or "runtime error" in done.stderr:
            raise AssertionError(f"{args}: exit status {done.returncode}\n{done.stderr[-3000:]}")
        return done

    @staticmethod
    def read(text):
        found = re.findall(r"^  (?:-(\w),|   ) --([a-z0-9-]+)(?: (\S+))?(?:  .*)?$", text, re.MULTILINE)
        return {name: Option(letter, name, value) for letter, name, value in found if name not in ("help", "version", "completion")}

    def args(self, command, *args):
        return ([command] if command else []) + list(args)


def programs():
    return [Program(name) for name in ("cardinal", "cardinal-demo") if os.path.exists(os.path.join(BUILD, name))]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.programs = programs()
        cls.cardinal = cls.programs[0]

    def each(self):
        for p in self.programs:
            for command, options in p.commands.items():
                yield p, command, options

    def taken(self, p, *args):
        done = p.run(*args, "--help")  # all is read before help is printed
        self.assertEqual((done.returncode, done.stderr), (DONE, ""), args)
        self.assertTrue(done.stdout.startswith("Usage: " + p.name), args)

    def refused(self, p, *args, says=()):
        done = p.run(*args)
        self.assertEqual((done.returncode, done.stdout), (USAGE, ""), f"{args}: {done.stderr}")
        self.assertRegex(done.stderr, r"\Acardinal: [^\n]*\n\Z", args)
        for word in says:
            self.assertIn(word, done.stderr, args)
        return done.stderr


class Table(Case):
    def test_something_was_read(self):
        self.assertEqual(list(self.cardinal.commands), "classify eval similar train bench compare devices convert models".split())
        for p, command, options in self.each():
            self.assertGreaterEqual(len(options), 1, command)
        letters = {o.name: o.letter for o in self.cardinal.commands["classify"].values() if o.letter}
        for name, letter in dict(model="m", device="d", batch="b", topk="k", format="f", output="o", quiet="q", verbose="v").items():
            self.assertEqual(letters[name], letter)

    def test_every_option_of_every_command_is_taken(self):
        for p, command, options in self.each():
            for o in options.values():
                forms = [[f"--{o.name}"]] + ([[f"-{o.letter}"]] if o.letter else [])
                if o.value:
                    forms = []
                    for value in o.values()[0]:
                        forms += [[f"--{o.name}={value}"]] + ([[f"--{o.name}", value]] if not value.startswith("--") else [])
                        if o.letter:
                            forms += [[f"-{o.letter}", value], [f"-{o.letter}{value}"], [f"-{o.letter}={value}"]]
                for form in forms:
                    with self.subTest(program=p.name, command=command, form=form):
                        self.taken(p, *p.args(command, *form))

    def test_wrong_values(self):
        for p, command, options in self.each():
            for o in options.values():
                with self.subTest(program=p.name, command=command, option=o.name):
                    if not o.value:
                        self.refused(p, *p.args(command, f"--{o.name}=x"), says=[f"--{o.name} takes no value"])
                        if o.letter:
                            self.refused(p, *p.args(command, f"-{o.letter}=x"), says=[f"-{o.letter} takes no value"])
                        continue
                    self.refused(p, *p.args(command, f"--{o.name}"), says=[f"--{o.name} expects "])
                    self.refused(p, *p.args(command, f"--{o.name}", "--help"), says=[f"--{o.name} expects ", "followed by --help"])
                    if o.letter:
                        self.refused(p, *p.args(command, f"-{o.letter}"), says=[f"--{o.name} expects "])
                    for value in o.values()[1]:
                        says = [f"--{o.name} expects ", f", not {value}"]
                        self.refused(p, *p.args(command, f"--{o.name}={value}"), says=says + [o.words()[0], " or " + o.words()[-1]] if o.words() else says)

    def test_another_commands_options_are_refused_with_their_owners(self):
        p = self.cardinal
        for name in {name for options in p.commands.values() for name in options}:
            owners = [c for c, options in p.commands.items() if name in options]
            option = p.commands[owners[0]][name]
            told = ", ".join(owners[:-1]) + " and " + owners[-1] if len(owners) > 1 else owners[0]
            for command in p.commands:
                if command in owners:
                    continue
                with self.subTest(command=command, option=name):
                    said = self.refused(p, command, f"--{name}", says=[f"--{name} is an option of {told}, not of {command}", f"see cardinal {command} --help"])
                    meant = re.search(r"did you mean --([a-z-]+)\?", said)
                    self.assertTrue(not meant or meant[1] in p.commands[command], said)
                    self.refused(p, command, f"--{name}=3", says=[f"--{name} is an option of {told}"])
                    letters = {o.letter for o in p.commands[command].values()}
                    if option.letter and option.letter not in letters:
                        self.refused(p, command, f"-{option.letter}3", says=[f"-{option.letter} is an option of ", f"not of {command}"])

    def test_slips_get_the_right_name(self):
        for p, command, options in self.each():
            for name in options:
                slips = {name[:i] + name[i + 1] + name[i] + name[i + 2:] for i in range(1, len(name) - 1) if name[i] != name[i + 1]}
                slips |= {name[:-2] + name[-1], name[0] + name} if len(name) > 4 else set()
                for slip in slips - set(options):
                    others = {n for c, all_of in p.commands.items() for n in all_of}
                    if slip in others:
                        continue
                    with self.subTest(program=p.name, command=command, slip=slip):
                        self.refused(p, *p.args(command, "--" + slip), says=[f"--{slip}", f"did you mean --{name}?"])

    def test_other_programs_names(self):
        for command, given, meant in (("classify", "--weights", "model"), ("classify", "--batch-size=3", "batch"), ("eval", "--workers", "threads"),
                                      ("convert", "--precision", "dtype"), ("classify", "--dtype", "precision"), ("classify", "--json", "format"),
                                      ("devices", "--json", "format"), ("classify", "--gpu", "device"), ("bench", "--half", "precision")):
            self.refused(self.cardinal, command, given, says=[f"did you mean --{meant}?"])
        for word in "--nothing-like-it", "--", "-?", "-x", "--=3", "--" + "a" * 5000:
            if word != "--":
                self.assertNotIn("did you mean", self.refused(self.cardinal, "classify", word))

    def test_groups_and_ends(self):
        p = self.cardinal
        for args in ["-qv"], ["-vq"], ["-qvk3"], ["-qk", "3"], ["-qfjson"], ["a.png", "-q", "b.png", "-k1"], ["-k3", "-k", "4", "--topk=5"], ["-"], ["-o", "-"]:
            self.taken(p, "classify", *args)
        self.refused(p, "classify", "-qxv", says=["-x"])
        self.refused(p, "classify", "-qk", says=["--topk expects"])
        self.refused(p, "classify", "-q=1", says=["-q takes no value"])
        self.refused(p, "classify", "-topk", "3", says=["did you mean --topk?"])
        self.refused(p, "classify", "-model=x", says=["did you mean --model?"])
        # Behind -- everything is an input: devices takes none, and names it.
        self.refused(p, "devices", "--", "--help", says=["devices does not take --help"])
        self.refused(p, "eval", "--", "-k", "-q", says=["eval does not take -q"])

    def test_operands_that_are_too_many(self):
        for args in ["devices", "x"], ["bench", "x.png"], ["eval", "a", "x"], ["convert", "a", "b", "x"]:
            self.refused(self.cardinal, *args, says=[f"{args[0]} does not take {args[-1]}", f"cardinal {args[0]} --help"])

    def test_commands(self):
        p = self.cardinal
        self.refused(p, "clasify", says=["unknown command clasify", "did you mean classify?"])
        self.refused(p, "device", says=["did you mean devices?"])
        self.refused(p, "help", "evla", says=["did you mean eval?"])
        self.refused(p, ROOT, says=["did you mean cardinal classify " + ROOT])
        self.refused(p, "-k", "3", says=["a command comes first"])
        self.assertNotIn("did you mean", self.refused(p, "xyzzy", says=["cardinal --help"]))
        self.assertEqual(p.run("help", "eval").stdout, p.run("eval", "-h").stdout)
        self.refused(p, "--completion", says=["bash, zsh or fish"])
        self.refused(p, "--completion=tcsh", says=["bash, zsh or fish"])


class Help(Case):
    def test_form(self):
        for p, command, options in self.each():
            text = p.run(*p.args(command, "--help")).stdout
            with self.subTest(program=p.name, command=command):
                self.assertLessEqual(max(map(len, text.splitlines())), 80)
                self.assertEqual([line for line in text.splitlines() if line.endswith(" ")], [])
                for part in "Usage: ", "Examples:", "Exit status: ", "-h, --help":
                    self.assertIn(part, text)
        self.assertLessEqual(max(map(len, self.cardinal.help.splitlines())), 80)

    def test_examples_are_understood(self):
        for p, command, options in self.each():
            text = p.run(*p.args(command, "--help")).stdout
            examples = re.findall(rf"^  {p.name}( .*|)$", text[text.index("Examples:"):], re.MULTILINE)
            self.assertTrue(examples)
            for example in examples:
                self.taken(p, *example.split())


    def test_the_manual_has_every_option(self):
        with open(os.path.join(ROOT, "docs", "manual.md"), encoding="utf-8") as f:
            manual = f.read()
        for p, command, options in self.each():
            for name in options:
                self.assertTrue(re.search(rf"`--{name}[ `]", manual), f"docs/manual.md does not tell --{name} of {p.name} {command}")


class Man(Case):
    def page(self, p):
        path = os.path.join(BUILD, "share", "man", "man1", p.name + ".1")
        self.assertTrue(os.path.exists(path), path + " was not built")
        return path

    def need(self, program):
        if not shutil.which(program):
            print(f"SKIPPED: no {program} on this machine", file=sys.stderr)
            self.skipTest("no " + program)

    def test_man_has_no_warnings(self):
        self.need("man")
        for p in self.programs:
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", self.page(p)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=dict(os.environ, MANPAGER="cat", PAGER="cat", MANWIDTH="80", GROFF_NO_SGR="1"))
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            text = re.sub(r".\x08", "", done.stdout.decode("utf-8"))
            flat = " ".join(text.split())
            for section in "NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES":
                self.assertRegex(text, rf"(?m)^{section}$")
            for command, options in p.commands.items():
                self.assertIn(f"{p.name} {command}".strip(), flat)
                for o in options.values():
                    self.assertIn((f"-{o.letter}, " if o.letter else "") + f"--{o.name}" + (f" {o.value}" if o.value else ""), flat)

    def test_mandoc_finds_nothing(self):
        self.need("mandoc")
        for p in self.programs:
            done = subprocess.run(["mandoc", "-Tlint", "-Wstyle", self.page(p)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual((done.returncode, done.stdout), (0, b""))


class Completion(Case):
    def need(self, program):
        Man.need(self, program)

    def script(self, p, shell):
        path = {"bash": f"bash-completion/completions/{p.name}", "zsh": f"zsh/site-functions/_{p.name}", "fish": f"fish/vendor_completions.d/{p.name}.fish"}[shell]
        path = os.path.join(BUILD, "share", path)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), p.run("--completion", shell).stdout)
        return path

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cardinal-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.mkdir(os.path.join(self.folder, "my folder"))
        for name in "a cat.png", "weights.pth":
            open(os.path.join(self.folder, name), "w").close()

    def test_syntax(self):
        for shell in "bash", "zsh", "fish":
            with self.subTest(shell):
                self.need(shell)
                for p in self.programs:
                    done = subprocess.run([shell, "-n", self.script(p, shell)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                    self.assertEqual((done.returncode, done.stdout), (0, b""))

    def bash(self, p, words):
        """What bash would offer behind `words`, as it cuts them."""
        program = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
"_${1//-/_}" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}" """
        done = subprocess.run(["bash", "--norc", "--noprofile", "-c", program, "bash", self.script(p, "bash"), p.name, *words], cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return sorted(line for line in done.stdout.splitlines() if line)

    def test_bash_function(self):
        self.need("bash")
        p = self.cardinal
        files = ["a cat.png", "my folder", "weights.pth"]
        self.assertEqual(self.bash(p, [""]), sorted([*p.commands, "help", "--help", "--version", "--completion"]))
        self.assertEqual(self.bash(p, ["cla"]), ["classify"])
        self.assertEqual(self.bash(p, ["help", "ev"]), ["eval"])
        self.assertEqual(self.bash(p, ["--completion", ""]), ["bash", "fish", "zsh"])
        self.assertEqual(self.bash(p, ["classify", ""]), files)
        self.assertEqual(self.bash(p, ["classify", "a"]), ["a cat.png"])
        self.assertEqual(self.bash(p, ["eval", ""]), ["my folder"])
        self.assertEqual(self.bash(p, ["devices", ""]), [])
        self.assertEqual(self.bash(p, ["classify", "--form"]), ["--format"])
        self.assertEqual(self.bash(p, ["classify", "--", "-"]), [])
        self.assertEqual(self.bash(p, ["classify", "--exif", "-", "--", "a"]), ["a cat.png"])
        for command, options in p.commands.items():
            self.assertEqual(self.bash(p, [command, "-"]), sorted(["--help", "-h"] + ["--" + n for n in options] + ["-" + o.letter for o in options.values() if o.letter]))
            for o in options.values():
                if not o.value:
                    continue
                expected = sorted(o.words() or [])
                if o.value.startswith("FILE"):
                    expected = files
                elif o.value.startswith("DIR"):
                    expected = ["my folder"]
                for before in [[f"--{o.name}"], [f"--{o.name}", "="]] + ([[f"-{o.letter}"]] if o.letter else []):
                    words = [command, *before] + ([""] if before[-1] != "=" else [])
                    found = [w for w in self.bash(p, words) if "@" not in w]  # the published models
                    with self.subTest(words=words):
                        self.assertEqual(found, expected)
                if o.words():
                    self.assertEqual(self.bash(p, [command, f"--{o.name}", "=", o.words()[-1][:-1]]), [w for w in sorted(o.words()) if w.startswith(o.words()[-1][:-1])])
        self.assertIn("resnext50_32x4d@v2", self.bash(p, ["classify", "-m", "resnext50"]))

    def test_bash_function_of_the_demo(self):
        self.need("bash")
        for p in self.programs[1:]:
            self.assertEqual(self.bash(p, ["--fram"]), ["--frames"])
            self.assertEqual(self.bash(p, ["--cam", "="]), ["off", "on"])
            self.assertEqual(self.bash(p, [""]), ["a cat.png", "my folder", "weights.pth"])

    def typed(self, shell, script, line, expected):
        """Types `line` and a tab into an interactive shell, and waits until it shows `expected`."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.environ.update(TERM="dumb", PS1="> ", HOME=self.folder, PATH=BUILD + ":" + os.environ["PATH"])
            args = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
            os.execvp(args[0], args)
        prepare = {"bash": f". '{script}'", "zsh": f"autoload -U compinit; compinit -D -u; . '{script}'"}[shell]
        out, state, end = "", 0, time.time() + 30
        os.write(terminal, (prepare + "; echo re''ady\n").encode())
        while time.time() < end and expected not in out[max(0, out.rfind(line)):]:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    out += os.read(terminal, 4096).decode("utf-8", "replace")
                except OSError:
                    break
            if state == 0 and "ready" in out:
                os.write(terminal, (line + "\t").encode())
                state = 1
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        self.assertIn(expected, out[max(0, out.rfind(line)):], out)

    def test_interactive_shells(self):
        for shell in "bash", "zsh":
            self.need(shell)
            script = self.script(self.cardinal, shell)
            for line, expected in (("cardinal cla", "cardinal classify "), ("cardinal classify --form", "--format"), ("cardinal bench --tune qu", "quick"),
                                   ("cardinal bench --tune=qu", "--tune=quick"), ("cardinal classify -m we", "weights.pth"), ("cardinal classify a", "a\\ cat.png")):
                with self.subTest(shell=shell, line=line):
                    self.typed(shell, script, line, expected)

    def test_fish(self):
        self.need("fish")
        p = self.cardinal

        def offered(line):
            done = subprocess.run(["fish", "--no-config", "-c", f"source {self.script(p, 'fish')}; complete -C '{line}'"], cwd=self.folder,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=dict(os.environ, HOME=self.folder))
            self.assertEqual(done.stderr, "")
            return [one.split("\t")[0] for one in done.stdout.splitlines()]
        self.assertEqual(offered("cardinal clas"), ["classify"])
        self.assertEqual(offered("cardinal bench --tune q"), ["quick"])
        self.assertEqual(offered("cardinal classify --form"), ["--format"])
        self.assertIn("weights.pth", offered("cardinal classify -m we"))
        self.assertEqual(offered("cardinal devices "), [])
        self.assertEqual(offered("cardinal eval "), ["my folder/"])
        self.assertEqual([w for w in offered("cardinal convert --") if w.startswith("--")], sorted(["--help"] + ["--" + n for n in p.commands["convert"]]))


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
        BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
