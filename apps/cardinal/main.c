// main.c - cardinal: ResNeXt image classifiers on any Vulkan GPU.
#include <stdlib.h>
#include <string.h>

#include "command_line.h"
#include "commands/report.h"
#include "commands/results_file.h"
#include "system/files.h"
#include "system/output_file.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// The manifest makes all text UTF-8, so the console is set to UTF-8 too, until the program ends.
static UINT console_before;
static void restore_console(void) { SetConsoleOutputCP(console_before); }
static void prepare_console(void) {
    console_before = GetConsoleOutputCP();
    if (console_before && SetConsoleOutputCP(CP_UTF8))
        atexit(restore_console);
}
#else
static void prepare_console(void) {}
#endif

static const char *command_name(const void *names, int i) {
    (void)names;
    return cardinal_program.commands[i].name;
}

// NULL after a line on stderr.
static const struct command *find_command(const char *name) {
    const struct program *p = &cardinal_program;
    for (int i = 0; i < p->num_commands; i++)
        if (!strcmp(p->commands[i].name, name))
            return &p->commands[i];
    struct file_status status;
    const char *nearest = arguments_nearest(name, command_name, NULL, p->num_commands);
    if (nearest)
        complain("unknown command %s; did you mean %s? see cardinal --help", name, nearest);
    else if (name[0] == '-')
        complain("a command comes first, as in cardinal classify %s; see cardinal --help", name);
    else if (get_file_status(name, &status))
        complain("unknown command %s; did you mean cardinal classify %s? see cardinal --help", name, name);
    else
        complain("unknown command %s; see cardinal --help", name);
    return NULL;
}

static int run_with_output(const struct command *command, const struct options *options) {
    struct results_file results;
    if (command->bit == COMMAND_CONVERT) // whose output is no text, and is checked once the model's file is known
        return command->run(options);
    if (!outputs_are_free(options, NULL))
        return EXIT_USAGE;
    const enum exit_status status = results_file_begin(&results, options);
    return status != EXIT_ALL_DONE ? (int)status : results_file_end(&results, command->run(options));
}

static int run_command(const struct command *command, int argc, char **argv) {
    struct options options;
    int status = EXIT_USAGE;
    if (options_parse(&options, command, argc, argv)) {
        status = EXIT_ALL_DONE;
        if (options.help)
            arguments_print_help(&cardinal_program, command, stdout);
        else
            status = run_with_output(command, &options);
    }
    options_free(&options);
    return status;
}

static int run(int argc, char **argv) {
    const char *first = argc > 1 ? argv[1] : NULL;
    if (!first) {
        arguments_print_usage(&cardinal_program, stderr);
        return EXIT_USAGE;
    }
    const bool help = !strcmp(first, "help");
    if (!strcmp(first, "--help") || !strcmp(first, "-h") || (help && argc == 2)) {
        arguments_print_usage(&cardinal_program, stdout);
        return EXIT_ALL_DONE;
    }
    const int status = arguments_run_builtin(&cardinal_program, argc, argv);
    if (status >= 0)
        return status;
    const struct command *command = find_command(help ? argv[2] : first);
    if (!command)
        return EXIT_USAGE;
    if (!help)
        return run_command(command, argc - 1, argv + 1);
    arguments_print_help(&cardinal_program, command, stdout);
    return EXIT_ALL_DONE;
}

int main(int argc, char **argv) {
    prepare_console();
    json_prepare();
    output_files_prepare();
    int status = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("the output could not be written whole; is the disk full?");
        status = status == EXIT_ALL_DONE ? EXIT_SOME_FAILED : status;
    }
    return status;
}
