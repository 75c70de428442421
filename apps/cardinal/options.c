// options.c - the options of `cardinal`: one table, and how their values are read.
#include "command_line.h"

#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "pretrained/pretrained.h"

#define PARSE(function) static bool function(const struct option *option, const char *text, void *field)

PARSE(parse_count) {
    (void)option;
    return parse_int_in(text, 1, 1 << 20, field);
}

PARSE(parse_seed) {
    (void)option;
    return parse_int_in(text, 0, 2147483647, field);
}

// Parses values separated by commas; `parse` stores each of them in an int.
static bool parse_list(const char *text, bool (*parse)(const char *text, int *out), struct int_list *list) {
    char item[32];
    list->count = 0;
    for (bool more = true; more; text++) {
        const size_t length = strcspn(text, ",");
        if (length >= sizeof item || list->count == MAX_LIST)
            return false;
        memcpy(item, text, length);
        item[length] = 0;
        if (!parse(item, &list->items[list->count++]))
            return false;
        text += length;
        more = *text == ',';
    }
    return true;
}

static bool parse_one_precision(const char *text, int *out) {
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, precision_names[i])) {
            *out = i;
            return true;
        }
    return false;
}

PARSE(parse_precisions) {
    struct options *o = field;
    (void)option;
    if (!parse_list(text, parse_one_precision, &o->precisions))
        return false;
    o->precision = (cdl_precision)o->precisions.items[0];
    return true;
}

static bool parse_one_batch(const char *text, int *out) { return parse_int_in(text, 1, 1 << 20, out); }

PARSE(parse_batches) {
    struct options *o = field;
    (void)option;
    if (!parse_list(text, parse_one_batch, &o->batches))
        return false;
    o->batch = o->batches.items[0];
    return true;
}

PARSE(parse_seconds) {
    (void)option;
    char *end;
    const double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0 && seconds <= 3600))
        return false;
    *(int *)field = seconds < 0.001 ? 1 : (int)(1000 * seconds);
    return true;
}

static bool parse_decimal_in(const char *text, double least, double most, struct decimal *out) {
    char *end;
    out->value = strtod(text, &end);
    out->given = true;
    return end != text && !*end && out->value >= least && out->value <= most;
}

PARSE(parse_rate) {
    (void)option;
    return parse_decimal_in(text, 0, 1e6, field);
}

PARSE(parse_share) {
    (void)option;
    return parse_decimal_in(text, 0, 1, field);
}

PARSE(parse_warmup) {
    (void)option;
    return parse_int_in(text, 0, 1 << 20, field);
}

// A word's place, from 1: 0 is that none was given.
PARSE(parse_choice) {
    int index;
    if (!parse_word(option, text, &index))
        return false;
    *(int *)field = index + 1;
    return true;
}

PARSE(parse_ratio) {
    (void)option;
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 10))
        return false;
    *(double *)field = value;
    return true;
}

// "standard" and "quick" are behind SUITE_NONE.
PARSE(parse_suite) {
    int index;
    if (!parse_word(option, text, &index))
        return false;
    *(int *)field = 1 + index;
    return true;
}

// The words of compare and bench, in the order of their placeholder.
PARSE(parse_table_format) {
    static const enum output_format formats[] = {FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_CSV, FORMAT_JSON, FORMAT_HTML};
    int index;
    if (!parse_word(option, text, &index))
        return false;
    *(enum output_format *)field = formats[index];
    return true;
}

// "on" and "off" are behind EXIF_DEFAULT.
PARSE(parse_exif) {
    int index;
    if (!parse_word(option, text, &index))
        return false;
    *(enum exif_mode *)field = index == 0 ? EXIF_ON : EXIF_OFF;
    return true;
}

// "224" or "160x224", height first
PARSE(parse_size) {
    struct options *o = field;
    char first[16];
    const char *x = strchr(text, 'x');
    (void)option;
    if (!x) {
        if (!parse_int_in(text, 1, 4096, &o->height))
            return false;
        o->width = o->height;
        return true;
    }
    if ((size_t)(x - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(x - text));
    first[x - text] = 0;
    return parse_int_in(first, 1, 4096, &o->height) && parse_int_in(x + 1, 1, 4096, &o->width);
}

PARSE(parse_metadata) {
    struct options *o = field;
    const char *equals = strchr(text, '=');
    (void)option;
    if (!equals || equals == text || o->num_metadata == MAX_METADATA)
        return false;
    const size_t length = (size_t)(equals - text);
    char *key = malloc(length + 1);
    if (!key)
        return false;
    memcpy(key, text, length);
    key[length] = 0;
    o->metadata[o->num_metadata++] = (struct cdl_pair){key, equals + 1};
    return true;
}

static const char *published_name(int i) {
    const struct pretrained *p = pretrained_at(i);
    return p ? p->name : NULL;
}

const struct value_kind value_model = {parse_text, "a file or a name", COMPLETES_FILES, published_name},
                        value_file = {parse_text, "a file", COMPLETES_FILES, NULL},
                        value_folder = {parse_text, "a folder", COMPLETES_FOLDERS, NULL},
                        value_name = {parse_text, "a name", COMPLETES_NOTHING, NULL},
                        value_device = {parse_text, "an index, UUID or part of a name", COMPLETES_NOTHING, NULL};
static const struct value_kind value_precisions = {parse_precisions, "auto, fp32 or fp16", COMPLETES_NOTHING, NULL},
                               value_batches = {parse_batches, "a number from 1", COMPLETES_NOTHING, NULL},
                               value_count = {parse_count, "a number from 1", COMPLETES_NOTHING, NULL},
                               value_seed = {parse_seed, "a number from 0", COMPLETES_NOTHING, NULL},
                               value_seconds = {parse_seconds, "seconds, up to 3600", COMPLETES_NOTHING, NULL},
                               value_ratio = {parse_ratio, "a ratio, such as 0.95", COMPLETES_NOTHING, NULL},
                               value_suite = {parse_suite, NULL, COMPLETES_NOTHING, NULL},
                               value_table_format = {parse_table_format, NULL, COMPLETES_NOTHING, NULL},
                               value_exif = {parse_exif, NULL, COMPLETES_NOTHING, NULL},
                               value_size = {parse_size, "PIXELS or HEIGHTxWIDTH, up to 4096", COMPLETES_NOTHING, NULL},
                               value_rate = {parse_rate, "a number from 0", COMPLETES_NOTHING, NULL},
                               value_share = {parse_share, "a number from 0 to 1", COMPLETES_NOTHING, NULL},
                               value_warmup = {parse_warmup, "a number from 0", COMPLETES_NOTHING, NULL},
                               value_choice = {parse_choice, NULL, COMPLETES_NOTHING, NULL},
                               value_metadata = {parse_metadata, "KEY=VALUE, at most 32 times", COMPLETES_NOTHING,
                                                 NULL};

#define FIELD(name) offsetof(struct options, name)
#define HEADING OPTION_HEADING
enum {
    CLASSIFY = COMMAND_CLASSIFY,
    EVAL = COMMAND_EVAL,
    BENCH = COMMAND_BENCH,
    DEVICES = COMMAND_DEVICES,
    CONVERT = COMMAND_CONVERT,
    MODELS = COMMAND_MODELS,
    SIMILAR = COMMAND_SIMILAR,
    TRAIN = COMMAND_TRAIN,
    COMPARE = COMMAND_COMPARE,
    PICTURES = CLASSIFY | EVAL | SIMILAR, // those that look at pictures
    RUN = PICTURES | BENCH,               // those that run a network
    WITH_MODEL = RUN | CONVERT,
};

// To add an option, see CONTRIBUTING.md. A name may stand here twice, for different commands.
const struct option cardinal_options[] = {
    HEADING("The model"),
    {"model", 'm', "FILE|NAME", WITH_MODEL | TRAIN, FIELD(model), &value_model,
     "weights: a .pth or .safetensors file, a folder as a Hugging Face hub has it, or a published model by name "
     "(resnext50_32x4d, timm/resnext50_32x4d.a1_in1k, ...; see cardinal models); default: the bundled model"},
    {"arch", 0, "NAME", PICTURES | CONVERT, FIELD(arch), &value_name,
     "a torchvision architecture with random weights instead, such as resnet18"},
    {"arch", 0, "LIST", BENCH, FIELD(arch), &value_name,
     "torchvision architectures with random weights; default: resnext50_32x4d"},
    {"arch", 0, "NAME", TRAIN, FIELD(arch), &value_name,
     "a torchvision architecture that begins with new weights instead, such as resnet18"},
    {"seed", 0, "N", WITH_MODEL, FIELD(seed), &value_seed, "chooses the random weights; default 0"},
    {"seed", 0, "N", TRAIN, FIELD(seed), &value_seed,
     "chooses new weights, the order of pictures and how they are changed; default 0"},
    {"label-file", 0, "FILE", WITH_MODEL, FIELD(label_file), &value_file, "class names: one a line, or a JSON array"},
    {"metadata", 0, "KEY=VALUE", WITH_MODEL | TRAIN, 0, &value_metadata,
     "what the weights do not tell, or tell wrongly: input_size, resize_size, mean, std, stem_stride, stem_pool, "
     "stage_strides, labels, ...; may be given up to 32 times"},
    {"names", 0, "FILE", WITH_MODEL | TRAIN, FIELD(names_file), &value_file,
     "what the file calls the network's tensors, where it is not known: lines of FROM TO, see the manual"},
    {"dtype", 0, "fp32|fp16|bf16", CONVERT, FIELD(dtype), &value_word, "how the numbers are stored; default fp32"},

    HEADING("How it runs"),
    {"device", 'd', "N|NAME|UUID", PICTURES | TRAIN, FIELD(device), &value_device,
     "which GPU, by its number, a part of its name, or its UUID; default: $CARDINAL_DEVICE, else the best; see "
     "cardinal devices"},
    {"device", 'd', "LIST|all", BENCH, FIELD(device), &value_device,
     "which GPUs, by number, part of the name, or UUID; default: $CARDINAL_DEVICE, else the best"},
    {"precision", 0, "auto|fp32|fp16", PICTURES, FIELD(precision), &value_word,
     "how weights and activations are stored; default auto: fp16 on GPUs that have it"},
    {"precision", 0, "fp32|fp16", TRAIN, FIELD(precision), &value_choice,
     "fp32 (default), or fp16: mixed precision, with values and their gradients in 16 bits and a loss scale"},
    {"precision", 0, "LIST", BENCH, 0, &value_precisions, "auto, fp32 or fp16, or several; default auto"},
    {"tune", 0, "off|quick|full", RUN | TRAIN, FIELD(tune), &value_word,
     "quick or full: find the fastest kernels on this GPU, and remember them; default off: use what was found earlier"},
    {"batch", 'b', "N", PICTURES, FIELD(batch), &value_count,
     "pictures at a time; default 8 in classify and similar, 32 in eval"},
    {"batch", 'b', "N", TRAIN, FIELD(batch), &value_count, "pictures of a step; default 32"},
    {"batch", 'b', "LIST", BENCH, 0, &value_batches, "pictures at a time; default 1"},
    {"size", 0, "N|HxW", RUN | TRAIN, 0, &value_size,
     "input of the network, in pixels, height first; pictures are resized in proportion"},
    {"input", 0, "pixels|tensor|device", BENCH, FIELD(bench_input), &value_word,
     "what a run takes: 8-bit pictures (default) or normalised floats in host memory, or pictures in device memory"},
    {"exif", 0, "on|off", PICTURES, FIELD(exif), &value_exif,
     "turn pictures as their EXIF orientation says; default: on in classify, off in eval, as in torchvision"},
    {"exif", 0, "on|off", TRAIN, FIELD(exif), &value_exif,
     "turn pictures as their EXIF orientation says; default off, as in torchvision"},
    {"workers", 0, "N", TRAIN, FIELD(threads), &value_count,
     "threads that decode pictures; default: one for each processor, at most 16"},
    {"threads", 0, "N", PICTURES, FIELD(threads), &value_count,
     "threads that decode pictures; default: one for each processor, at most 16"},
    {"no-fold", 0, NULL, RUN, FIELD(no_fold), NULL, "keep batch norms as layers of their own"},
    {"validate", 0, NULL, RUN | TRAIN, FIELD(validate), NULL,
     "run under the Khronos validation layer, where it is installed"},

    HEADING("How it learns"),
    {"epochs", 0, "N", TRAIN, FIELD(epochs), &value_count, "how often every picture is seen; default 90"},
    {"accumulate", 0, "N", TRAIN, FIELD(accumulate), &value_count,
     "batches of a step, one after another, where one that large does not fit into memory; default 1"},
    {"lr", 0, "RATE", TRAIN, FIELD(lr), &value_rate, "learning rate; default 0.1"},
    {"schedule", 0, "step|cosine", TRAIN, FIELD(schedule), &value_choice,
     "how the rate falls: by steps (default), or along a cosine to 0"},
    {"lr-step-size", 0, "N", TRAIN, FIELD(lr_step), &value_count, "epochs from one step to the next; default 30"},
    {"lr-gamma", 0, "FACTOR", TRAIN, FIELD(lr_gamma), &value_share, "of the rate at each step; default 0.1"},
    {"warmup", 0, "N", TRAIN, FIELD(warmup), &value_warmup,
     "epochs in which the rate rises from a hundredth; default 0"},
    {"momentum", 0, "SHARE", TRAIN, FIELD(momentum), &value_share, "default 0.9"},
    {"weight-decay", 0, "RATE", TRAIN, FIELD(weight_decay), &value_rate, "default 1e-4"},
    {"norm-weight-decay", 0, "RATE", TRAIN, FIELD(norm_weight_decay), &value_rate,
     "of batch norm's weights and biases; default: as --weight-decay"},
    {"label-smoothing", 0, "SHARE", TRAIN, FIELD(label_smoothing), &value_share, "default 0"},
    {"clip-grad-norm", 0, "NORM", TRAIN, FIELD(clip_grad_norm), &value_rate,
     "the most that the norm of all gradients may be; default: anything"},
    {"ema", 0, "DECAY", TRAIN, FIELD(ema), &value_share,
     "keep averages of the weights, which take 1 - DECAY of them, adjusted as torchvision does; judged and kept are "
     "the averages"},
    {"checkpoint-stages", 0, NULL, TRAIN | BENCH, FIELD(checkpoint_stages), NULL,
     "less memory, more time: compute what lies in a stage of the network again on the way back"},
    {"freeze", 0, "LAYERS", TRAIN, FIELD(freeze), &value_name,
     "layers that keep their weights, as stem,layer1,layer2,layer3"},
    {"augment", 0, "none|small|imagenet", TRAIN, FIELD(augment), &value_choice,
     "how pictures are changed: not at all; shifted and flipped, for small ones; cropped at random and flipped; "
     "default: small for inputs of up to 64 pixels, else imagenet"},
    {"brightness", 0, "SHARE", TRAIN, FIELD(brightness), &value_share,
     "pictures are made darker or brighter by up to SHARE; default 0"},
    {"contrast", 0, "SHARE", TRAIN, FIELD(contrast), &value_share, "the same of their contrast; default 0"},
    {"saturation", 0, "SHARE", TRAIN, FIELD(saturation), &value_share, "the same of their saturation; default 0"},
    {"mixup", 0, "ALPHA", TRAIN, FIELD(mixup), &value_share,
     "learn mixtures of two pictures, by shares of a beta distribution of 0.001 to 1, as 0.2; default 0: single ones"},
    {"no-shuffle", 0, NULL, TRAIN, FIELD(no_shuffle), NULL, "pictures in the order of their names"},
    {"resume", 0, NULL, TRAIN, FIELD(resume_training), NULL,
     "go on from what DIR holds, exactly as if it had not been interrupted"},

    HEADING("What is evaluated"),
    {"list", 0, "FILE", EVAL, FIELD(list), &value_file,
     "the pictures, in place of folders: lines of a path (in FOLDER), a tab or space, and a class"},
    {"class-map", 0, "FILE", EVAL, FIELD(class_map), &value_file,
     "which class each folder is: lines of a folder, a tab or space, and a class's name or number; or a JSON object"},
    {"valid-classes", 0, "FILE", EVAL, FIELD(valid_classes), &value_file,
     "the classes that count, a name or number a line; others are neither right nor answers"},
    {"real-labels", 0, "FILE", EVAL, FIELD(real_labels), &value_file,
     "ImageNet's ReaL labels: a JSON array of the right classes of every picture"},
    {"resume", 0, "FILE", EVAL, FIELD(resume), &value_file,
     "keep results in FILE as they come, and go on from those that are there"},

    HEADING("What is measured"),
    {"suite", 0, "standard|quick", BENCH, FIELD(suite), &value_suite,
     "a fixed set of rows with a score, to compare machines: standard (under 5 minutes on a GPU) or quick (under one); "
     "CPU drivers get smaller ones"},
    {"train", 0, NULL, BENCH, FIELD(train), NULL,
     "training instead: steps of --batch pictures, forward, backward and update"},
    {"sustain", 0, "SECONDS", BENCH, FIELD(sustain_ms), &value_seconds,
     "then run the last row for long, and tell the first 10 seconds from the last 10: throttling"},
    {"fail-below", 0, "RATIO", COMPARE, FIELD(fail_below), &value_ratio,
     "exit status 1 where a row of the last file is slower than RATIO times the first file's, beyond their intervals"},
    {"duration", 0, "SECONDS", BENCH, FIELD(duration_ms), &value_seconds,
     "of each measurement; default 2; at least three runs are made"},
    {"layers", 0, NULL, BENCH, FIELD(layers), NULL, "print the table of layers for every row, not for a lone row only"},
    {"start", 0, NULL, BENCH, FIELD(start), NULL,
     "measure the time from nothing to a first result, too, with and without caches"},
    {"start-child", 0, NULL, BENCH, FIELD(start_child), NULL, NULL}, // bench's own child process

    HEADING("Results"),
    {"topk", 'k', "K", CLASSIFY | EVAL, FIELD(topk), &value_count, "classes for each picture; default 5"},
    {"topk", 'k', "K", SIMILAR, FIELD(topk), &value_count, "pictures to list; default 10"},
    {"format", 'f', "text|json|csv", PICTURES, FIELD(format), &value_word, "default text; json is one object a line"},
    {"format", 'f', "text|json", DEVICES | MODELS, FIELD(format), &value_word, "default text; json is one object"},
    {"format", 'f', "text|md|csv|json|html", BENCH | COMPARE, FIELD(format), &value_table_format,
     "default text; json is one object, html a page with plots that needs nothing else"},
    {"output", 'o', "FILE", RUN | COMPARE | DEVICES | MODELS, FIELD(output), &value_file,
     "write results to FILE, which appears when it is whole; default -, standard output"},
    {"output", 'o', "FILE", CONVERT, FIELD(output), &value_file, "the same as OUT.safetensors"},
    {"out", 'o', "DIR", TRAIN, FIELD(out), &value_folder, "where weights, log and state go; default: trained"},
    {"log-every", 0, "N", TRAIN, FIELD(log_every), &value_count,
     "also write a line to log.jsonl every N steps, not only for each epoch"},
    {"cam", 0, "DIR", CLASSIFY, FIELD(cam_folder), &value_folder,
     "also write every picture to DIR as a PNG, coloured where the network saw its best class"},
    {"list", 0, "FILE", CLASSIFY, FIELD(list), &value_file,
     "more pictures: a path or an address a line, or each ended by a NUL byte; - is standard input"},
    {"null", '0', NULL, CLASSIFY, FIELD(null_separated), NULL,
     "each path of the list ends with a NUL byte, as find -print0 writes them"},
    {"features", 0, "FILE", CLASSIFY, FIELD(features), &value_file,
     "also write what the network sees, as numbers: FILE.npy (NumPy's, with FILE.npy.names) or FILE.csv"},
    {"report", 0, "DIR|FILE.html", EVAL, FIELD(report), &value_folder,
     "a page with the worst mistakes, the confusion matrix, accuracy by class and calibration; in DIR, also as CSV "
     "and JSON"},
    {"predictions", 0, "FILE", EVAL, FIELD(predictions), &value_file, "write a line of JSON for each picture to FILE"},

    HEADING("Messages"),
    {"quiet", 'q', NULL, WITH_MODEL | TRAIN, FIELD(quiet), NULL, "fewer messages on standard error"},
    {"verbose", 'v', NULL, WITH_MODEL | TRAIN | DEVICES, FIELD(verbose), NULL, "many more messages on standard error"},
    {"help", 'h', NULL, ~0u, FIELD(help), NULL, NULL}, // each help ends with it
    OPTIONS_END,
};

bool options_parse(struct options *out, const struct command *command, int argc, char **argv) {
    *out = (struct options){0};
    const int num_operands = arguments_parse(&cardinal_program, command, argc, argv, out);
    if (num_operands < 0)
        return false;
    out->inputs = (const char *const *)(argv + 1);
    out->num_inputs = num_operands;
    if (out->help)
        return true;
    if (out->model && out->arch) {
        complain("--model and --arch exclude each other");
        return false;
    }
    if (command->max_operands >= 0 && num_operands > command->max_operands) {
        complain("%s does not take %s; see cardinal %s --help", command->name, argv[1 + command->max_operands],
                 command->name);
        return false;
    }
    return true;
}

void options_free(struct options *options) {
    for (int i = 0; i < options->num_metadata; i++)
        free((char *)(uintptr_t)options->metadata[i].key);
    options->num_metadata = 0;
}
