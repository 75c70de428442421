// completion.c - scripts for bash, zsh and fish, each complete in itself.
#include <ctype.h>
#include <string.h>

#include "arguments/arguments.h"

#define FOR_EACH_SHOWN(o, p, c) FOR_EACH_OPTION(o, p) if (arguments_shown(o, c))

static bool has_commands(const struct program *p) { return p->commands[0].name[0] != 0; }

// A program's name as shells take it for a function's.
static void print_function(const struct program *p, FILE *file) {
    for (const char *at = p->name; *at; at++)
        fputc(*at == '-' ? '_' : *at, file);
}

// The words that the option's value may be; false: there are none to choose from.
static bool print_words(const struct option *o, FILE *file) {
    const char *word;
    int count = 0;
    if (!o->kind->expects || (islower((unsigned char)o->value[0]) && strchr(o->value, '|')))
        for (; option_word(o, count, &word) > 0; count++)
            fprintf(file, "%s%.*s", count ? " " : "", (int)option_word(o, count, &word), word);
    for (int i = 0; o->kind->word && o->kind->word(i); i++)
        fprintf(file, "%s%s", count++ ? " " : "", o->kind->word(i));
    return count > 0;
}

static bool has_words(const struct option *o) {
    return !o->kind->expects || o->kind->word || (islower((unsigned char)o->value[0]) && strchr(o->value, '|'));
}

// ---- bash

static void print_bash_case(const struct program *p, const struct command *c, FILE *file) {
    fprintf(file, "    %s)\n        options='", c->name[0] ? c->name : "*");
    FOR_EACH_SHOWN(o, p, c) {
        fprintf(file, "--%s ", o->name);
        if (o->letter)
            fprintf(file, "-%c ", o->letter);
    }
    fprintf(file, "--help -h%s'\n        operands=%s\n        case $before in\n",
            has_commands(p) ? "" : " --version --completion",
            c->completes == COMPLETES_FOLDERS ? "folders"
            : c->completes == COMPLETES_FILES ? "files"
                                              : "");
    FOR_EACH_SHOWN(o, p, c) {
        if (!o->value)
            continue;
        fprintf(file, "        --%s", o->name);
        if (o->letter)
            fprintf(file, "|-%c", o->letter);
        fputs(") kind=value", file);
        if (o->kind->completes != COMPLETES_NOTHING)
            fprintf(file, " values=%s", o->kind->completes == COMPLETES_FILES ? "files" : "folders");
        if (has_words(o)) {
            fputs(" words='", file);
            print_words(o, file);
            fputs("'", file);
        }
        fputs(" ;;\n", file);
    }
    fputs("        esac ;;\n", file);
}

static void print_bash(const struct program *p, FILE *file) {
    fprintf(file, "# bash completion for %s; made from the program's own tables.\n_", p->name);
    print_function(p, file);
    fputs("() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
          "    local kind= values= words= options= operands= i\n"
          "    COMPREPLY=()\n"
          "    # bash cuts words at \"=\"\n"
          "    if [[ $word == = ]]; then\n"
          "        word=\n"
          "    elif [[ $before == = && COMP_CWORD -ge 2 ]]; then\n"
          "        before=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n",
          file);
    if (has_commands(p)) {
        fputs("    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W '", file);
        for (int i = 0; i < p->num_commands; i++)
            fprintf(file, "%s ", p->commands[i].name);
        fputs("help --help --version --completion' -- \"$word\"))\n        return\n    fi\n", file);
    }
    fputs("    case $command in\n", file);
    if (has_commands(p))
        fputs("    --completion) kind=value words='bash zsh fish' ;;\n    help) kind=value words='", file);
    for (int i = 0; has_commands(p) && i < p->num_commands; i++)
        fprintf(file, "%s%s", i ? " " : "", p->commands[i].name);
    fputs(has_commands(p) ? "' ;;\n" : "", file);
    for (int i = 0; i < p->num_commands; i++)
        print_bash_case(p, &p->commands[i], file);
    fputs("    esac\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do # behind -- there are no options\n"
          "        [[ ${COMP_WORDS[i]} == -- ]] && kind= options= && break\n"
          "    done\n"
          "    if [[ $kind != value ]]; then\n"
          "        if [[ $word == -* && -n $options ]]; then\n"
          "            COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
          "            return\n"
          "        fi\n"
          "        values=$operands\n"
          "    fi\n"
          "    local IFS=$'\\n'\n"
          "    case $values in\n"
          "    files) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
          "    folders) COMPREPLY=($(compgen -d -- \"$word\")) ;;\n"
          "    esac\n"
          "    [[ -z $values ]] || compopt -o filenames 2>/dev/null\n"
          "    IFS=$' \\n'\n"
          "    [[ -z $words ]] || COMPREPLY+=($(compgen -W \"$words\" -- \"$word\"))\n"
          "}\ncomplete -F _",
          file);
    print_function(p, file);
    fprintf(file, " %s\n", p->name);
}

// ---- zsh and fish

// The first part of a description, up to its first full stop, semicolon or line, as an entry in a menu. `escaped` get
// a backslash before them; quotes are written as both shells take them inside of single quotes.
static void print_brief(const char *text, const char *escaped, bool fish, FILE *file) {
    for (; *text && *text != '\n' && *text != ';' && !(*text == '.' && (text[1] == ' ' || !text[1])); text++) {
        if (*text == '\'')
            fputs(fish ? "\\'" : "'\\''", file);
        else
            fprintf(file, "%s%c", strchr(escaped, *text) ? "\\" : "", *text);
    }
}

static void print_zsh_operands(enum completes completes, FILE *file) {
    if (completes == COMPLETES_FILES)
        fputs(" \\\n            '*:file:_files'", file);
    else if (completes == COMPLETES_FOLDERS)
        fputs(" \\\n            '*:folder:_files -/'", file);
}

static void print_zsh_options(const struct program *p, const struct command *c, FILE *file) {
    FOR_EACH_SHOWN(o, p, c) {
        fputs(" \\\n            ", file);
        if (o->letter)
            fprintf(file, "'*'{-%c%s,--%s%s}'[", o->letter, o->value ? "+" : "", o->name, o->value ? "=" : "");
        else
            fprintf(file, "'*--%s%s[", o->name, o->value ? "=" : "");
        print_brief(o->help, "[]:\\", false, file);
        fputc(']', file);
        if (o->value) {
            fputs(": :", file);
            if (has_words(o) && o->kind->completes == COMPLETES_FILES) {
                fputs("{_files; compadd -- ", file);
                print_words(o, file);
                fputs("}", file);
            } else if (has_words(o)) {
                fputc('(', file);
                print_words(o, file);
                fputc(')', file);
            } else if (o->kind->completes != COMPLETES_NOTHING) {
                fputs(o->kind->completes == COMPLETES_FILES ? "_files" : "_files -/", file);
            }
        }
        fputc('\'', file);
    }
    fputs(" \\\n            '(- *)'{-h,--help}'[print help]'", file);
    print_zsh_operands(c->completes, file);
    fputc('\n', file);
}

static void print_zsh(const struct program *p, FILE *file) {
    fprintf(file, "#compdef %s\n# made from the program's own tables\n_", p->name);
    print_function(p, file);
    fputs("() {\n", file);
    if (!has_commands(p)) {
        fputs("    _arguments -s -S '--version[print the version]' '--completion[print a script]: :(bash zsh fish)'",
              file);
        print_zsh_options(p, &p->commands[0], file);
    } else {
        fputs("    local curcontext=$curcontext state line\n"
              "    typeset -A opt_args\n"
              "    _arguments -C '(- *)'{-h,--help}'[print help]' '(- *)--version[print the version]' \\\n"
              "        '(- *)--completion[print a script]: :(bash zsh fish)' '1: :->command' '*:: :->arguments'\n"
              "    case $state in\n    command)\n        local -a commands=(\n",
              file);
        for (int i = 0; i < p->num_commands; i++) {
            fprintf(file, "            '%s:", p->commands[i].name);
            print_brief(p->commands[i].summary, ":\\", false, file);
            fputs("'\n", file);
        }
        fputs("        )\n        _describe command commands ;;\n    arguments)\n        case $words[1] in\n", file);
        for (int i = 0; i < p->num_commands; i++) {
            fprintf(file, "        %s)\n            _arguments -s -S", p->commands[i].name);
            print_zsh_options(p, &p->commands[i], file);
            fputs("            ;;\n", file);
        }
        fputs("        esac ;;\n    esac\n", file);
    }
    fputs("}\n# read by `source`, it registers itself; in a folder of $fpath, it is called\n"
          "if [[ $funcstack[1] == _",
          file);
    print_function(p, file);
    fputs(" ]]; then\n    _", file);
    print_function(p, file);
    fputs(" \"$@\"\nelse\n    compdef _", file);
    print_function(p, file);
    fprintf(file, " %s\nfi\n", p->name);
}

static void print_fish_command(const struct program *p, const struct command *c, FILE *file) {
    char condition[128] = "";
    if (c->name[0])
        snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", c->name);
    if (c->completes != COMPLETES_NOTHING)
        fprintf(file, "complete -c %s%s %s\n", p->name, condition,
                c->completes == COMPLETES_FILES ? "-F" : "-a '(__fish_complete_directories)'");
    FOR_EACH_SHOWN(o, p, c) {
        fprintf(file, "complete -c %s%s -l %s", p->name, condition, o->name);
        if (o->letter)
            fprintf(file, " -s %c", o->letter);
        if (o->value) {
            fputs(o->kind->completes == COMPLETES_FILES ? " -r -F" : " -x", file);
            if (has_words(o) || o->kind->completes == COMPLETES_FOLDERS)
                fputs(" -a '", file);
            if (has_words(o))
                print_words(o, file);
            else if (o->kind->completes == COMPLETES_FOLDERS)
                fputs("(__fish_complete_directories)", file);
            if (has_words(o) || o->kind->completes == COMPLETES_FOLDERS)
                fputc('\'', file);
        }
        fputs(" -d '", file);
        print_brief(o->help, "\\", true, file);
        fputs("'\n", file);
    }
}

static void print_fish(const struct program *p, FILE *file) {
    fprintf(file, "# fish completion for %s; made from the program's own tables.\ncomplete -c %s -f\n", p->name,
            p->name);
    fprintf(file, "complete -c %s -s h -l help -d 'print help'\n", p->name);
    const char *first = has_commands(p) ? " -n __fish_use_subcommand" : "";
    fprintf(file, "complete -c %s%s -l version -d 'print the version'\n", p->name, first);
    fprintf(file, "complete -c %s%s -l completion -x -a 'bash zsh fish' -d 'print a script'\n", p->name, first);
    for (int i = 0; has_commands(p) && i < p->num_commands; i++) {
        fprintf(file, "complete -c %s -n __fish_use_subcommand -a %s -d '", p->name, p->commands[i].name);
        print_brief(p->commands[i].summary, "\\", true, file);
        fputs("'\n", file);
    }
    for (int i = 0; i < p->num_commands; i++)
        print_fish_command(p, &p->commands[i], file);
}

bool arguments_print_completion(const struct program *p, const char *shell, FILE *file) {
    static const struct {
        const char *name;
        void (*print)(const struct program *p, FILE *file);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (!strcmp(shells[i].name, shell)) {
            shells[i].print(p, file);
            return true;
        }
    return false;
}
