// main.c - cardinal: ResNeXt image classifiers on any Vulkan GPU.
#include <stdlib.h>
#include <string.h>

#include "app.h"
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

#define MODEL_OPTIONS \
    "  --model FILE|NAME     weights: .pth or .safetensors, or a published model by name\n" \
    "                        (resnext50_32x4d, resnext101_32x8d@v1, ...; without @ the most accurate);\n" \
    "                        default: the bundled CIFAR-10 ResNeXt\n" \
    "  --arch NAME           an architecture with seeded random weights instead (--seed N)\n" \
    "  --label-file F        class names: one a line, synset text or JSON\n" \
    "  --metadata KEY=VALUE  what the weights do not tell: input_size, resize_size, mean, std,\n" \
    "                        stem_stride, stem_pool, stage_strides, labels, ...\n"
#define RUN_OPTIONS \
    "  --device N|NAME|UUID  default: $CARDINAL_DEVICE, else the best; see cardinal devices\n" \
    "  --precision P         auto, fp32 or fp16\n" \
    "  --tune T              quick or full: find the fastest kernels on this device, and remember them;\n" \
    "                        default off: use what was found earlier\n" \
    "  --batch N             pictures at a time\n" \
    "  --size N|HxW          network input, in pixels; pictures are resized in proportion\n" \
    "  --topk K              classes to print for each picture, default 5\n" \
    "  --exif on|off         rotate pictures as their EXIF orientation says\n" \
    "  --threads N           decoding threads, default one per processor\n" \
    "  --no-fold             keep batch norms as separate layers\n" \
    "  --validate            run under the Khronos validation layer\n"
#define COMMON_OPTIONS "  --quiet, --verbose    fewer messages on standard error, or many more\n"

static const struct {
    const char *name, *summary, *help;
    int (*run)(const struct options *options);
} commands[] = {
    {"classify", "name what pictures show",
     "cardinal classify [OPTION]... IMAGE|FOLDER|ADDRESS|- ...\n\n"
     "Prints the best classes of every picture (JPEG, PNG, BMP, GIF, PNM), in the order given; a folder is\n"
     "all its pictures, - a picture or a list of paths on standard input, an address http:// or https://.\n\n"
     "  --list FILE|-         paths of pictures, one a line or each ended by a NUL byte\n"
     "  --null, -0            a NUL byte ends each path of a list, as find -print0 writes them\n" MODEL_OPTIONS
         RUN_OPTIONS "  --format F            text, json (one object a line) or csv\n"
     "  --cam DIR             also write every picture to DIR as a PNG, coloured where the network saw its best\n"
     "                        class, and an index, DIR/index.jsonl\n" COMMON_OPTIONS
     "\nExit status: 0 all classified; 1 some failed; 2 usage; 3 no usable device; 4 no model.\n",
     command_classify},
    {"eval", "measure accuracy on a folder with a folder for every class",
     "cardinal eval [OPTION]... FOLDER\n\n"
     "FOLDER holds a folder for every class; sorted by name they are classes 0, 1, ... (ImageFolder).\n\n" MODEL_OPTIONS
         RUN_OPTIONS "  --format F            text, json or csv\n"
     "  --predictions FILE    one JSON line per picture\n" COMMON_OPTIONS,
     command_eval},
    {"bench", "measure speed, layer by layer",
     "cardinal bench [OPTION]...\n\n"
     "Runs networks on devices and reports latency, throughput, memory and the time of every layer beside the\n"
     "measured peaks of the device. A LIST is values separated by commas; every combination is a row.\n\n"
     "  --arch LIST           architectures with seeded random weights, as torchvision calls them (--seed N);\n"
     "                        default: resnext50_32x4d\n"
     "  --model FILE|NAME     weights instead\n"
     "  --batch LIST          images at a time, default 1\n"
     "  --precision LIST      auto, fp32, fp16\n"
     "  --device LIST|all     by index, part of the name or UUID; default: $CARDINAL_DEVICE, else the best\n"
     "  --size N|HxW          network input, in pixels\n"
     "  --input pixels|tensor what a run uploads: 8-bit pictures (default), or normalised floats\n"
     "  --tune off|quick|full  find the fastest kernels first, and remember them\n"
     "  --duration SECONDS    of each measurement, default 2; at least three runs are made\n"
     "  --layers              the table of layers for every row, not only where there is one row\n"
     "  --start               also the time from nothing to a first result, with and without caches\n"
     "  --no-fold             keep batch norms as separate layers\n"
     "  --format F            text or json\n" COMMON_OPTIONS
     "\nExit status: 0 every row is ok or unsupported; 1 a row failed; 2 usage; 3 no usable device; 4 no model.\n",
     command_bench},
    {"devices", "list the Vulkan devices of this machine", "cardinal devices [--format text|json]\n", command_devices},
    {"convert", "write weights as .safetensors, with recipe and labels",
     "cardinal convert [OPTION]... IN OUT.safetensors\ncardinal convert [OPTION]... --arch NAME OUT.safetensors\n\n"
     "IN is a file or a published model's name.\n\n"
     "  --dtype T             fp32 (default), fp16 or bf16\n" MODEL_OPTIONS COMMON_OPTIONS,
     command_convert},
};
enum { NUM_COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *file) {
    fprintf(file, "cardinal %s: ResNeXt image classifiers on any Vulkan GPU\n\n", CARDINAL_VERSION);
    for (int i = 0; i < NUM_COMMANDS; i++)
        fprintf(file, "  cardinal %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(file, "\ncardinal COMMAND --help describes a command.\n");
}

int main(int argc, char **argv) {
    prepare_console();
    output_files_prepare();
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_usage(stdout);
        return EXIT_ALL_DONE;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("cardinal %s\n", CARDINAL_VERSION);
        return EXIT_ALL_DONE;
    }
    for (int i = 0; i < NUM_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name))
            continue;
        struct options options;
        int status = EXIT_USAGE;
        if (options_parse(&options, argc - 1, argv + 1)) {
            if (options.help)
                fputs(commands[i].help, stdout);
            status = options.help ? EXIT_ALL_DONE : commands[i].run(&options);
        }
        options_free(&options);
        if (fflush(stdout) != 0 || ferror(stdout)) {
            complain("the output could not be written whole; is the disk full?");
            status = status == EXIT_ALL_DONE ? EXIT_SOME_FAILED : status;
        }
        return status;
    }
    complain("unknown command %s; see cardinal --help", argv[1]);
    return EXIT_USAGE;
}
