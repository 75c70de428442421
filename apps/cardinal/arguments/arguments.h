// arguments.h - a program's command line as tables, from which come its parsing, its help, its manual page and the
// completion that shells offer.
#ifndef CARDINAL_ARGUMENTS_H_
#define CARDINAL_ARGUMENTS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum completes { COMPLETES_NOTHING, COMPLETES_FILES, COMPLETES_FOLDERS };

struct option;
// What the values of an option are.
struct value_kind {
    bool (*parse)(const struct option *option, const char *text, void *field); // false: `text` is none
    const char *expects; // "a number from 1", for the error; NULL: one of the words in option->value
    enum completes completes;
    const char *(*word)(int i); // completes to these, too: the i-th, NULL behind the last; may be NULL
};

struct option {
    const char *name;              // without its dashes; NULL: a heading over those that follow, which `help` holds
    char letter;                   // its short form; 0: none
    const char *value;             // a placeholder, such as "FILE"; or the words allowed, "text|json|csv"; NULL: a flag
    unsigned commands;             // that take it, a bit each
    size_t field;                  // the offset of what is set, in the structure that is parsed into
    const struct value_kind *kind; // NULL: a flag, whose field is a bool
    const char *help;              // NULL: for the program itself; it is shown nowhere
};

#define OPTION_HEADING(text) \
    { NULL, 0, NULL, 0, 0, NULL, text }
#define OPTIONS_END \
    { NULL, 0, NULL, 0, 0, NULL, NULL }
#define FOR_EACH_OPTION(o, program) for (const struct option *o = (program)->options; o->name || o->help; o++)

struct described {
    const char *name, *text;
};

struct options;
struct command {
    const char *name; // "": the program has no others
    unsigned bit;     // in option.commands
    int max_operands; // -1: any number
    enum completes completes;
    const char *summary;
    const char *synopsis;         // what follows the program's and the command's name, a line for each way
    const char *description;      // paragraphs, with '\n' between them
    const char *statuses;         // "0 all classified; 1 some failed; ..."
    struct described examples[5]; // what is typed behind the program's name, and what that does
    int (*run)(const struct options *options);
    // Takes an argument that is no option; NULL: they are gathered in front of argv. false after a line on stderr.
    bool (*operand)(const char *text, void *out);
};

struct program {
    const char *name, *version, *summary, *description;
    const struct command *commands;
    int num_commands;
    const struct option *options;                // OPTIONS_END ends them
    const struct described *environment, *files; // a NULL name ends them
    const char *see_also;                        // "cardinal-demo"
};

// Sets the fields of `out` as the options in argv[1...] say; argv[0] is not looked at. Operands are moved to argv[1...]
// in their order. Returns their number; -1 after a line on stderr.
int arguments_parse(const struct program *program, const struct command *command, int argc, char **argv, void *out);
// Whether `option` is one of `command`'s that are shown.
bool arguments_shown(const struct option *option, const struct command *command);

// The name among `count` that is most like `word`, as a slip of the finger would have it; NULL: none is.
const char *arguments_nearest(const char *word, const char *(*name)(const void *names, int i), const void *names,
                              int count);

// On `file`: what --help prints, of the program and of one command.
void arguments_print_usage(const struct program *program, FILE *file);
void arguments_print_help(const struct program *program, const struct command *command, FILE *file);

// The manual page, for man(1); `date` as "2025-01-31", or "".
void arguments_print_man(const struct program *program, const char *date, FILE *file);

// A script that makes `shell` complete the program's arguments. false: the shell is none of bash, zsh and fish.
bool arguments_print_completion(const struct program *program, const char *shell, FILE *file);

// --help, --version, --man [DATE] and --completion SHELL as the program's first argument: prints what it asks for.
// Returns the exit status; -1: it is something else.
int arguments_run_builtin(const struct program *program, int argc, char **argv);

// Values that many programs have.
bool parse_text(const struct option *option, const char *text, void *field); // const char *
bool parse_word(const struct option *option, const char *text, void *field); // int: the index in option->value
extern const struct value_kind value_word;
// The i-th word of option->value, which must be words: its length, and where it begins; 0: there are no more.
size_t option_word(const struct option *option, int i, const char **begin);

#endif // CARDINAL_ARGUMENTS_H_
