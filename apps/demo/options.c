// options.c - see options.h.
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drawing/screenshot.h"
#include "parse.h"
#include "system/text.h"

const char demo_usage[] =
    "cardinal-demo [OPTION]... [SOURCE|MODEL]...\n\n"
    "Classifies a camera, a video or pictures live, and shows what the GPU does.\n"
    "SOURCE: a picture, a folder, a video file, an address (rtsp://, http://, ...), camera, camera:PART OF ITS NAME,\n"
    "or lavfi:GRAPH (FFmpeg's test sources). Without one: the first camera that works, else the bundled pictures.\n"
    "MODEL: a .pth or .safetensors file.\n\n"
    "  --source SOURCE       the same as SOURCE\n"
    "  --model FILE|NAME     weights, as in cardinal classify; default: the bundled CIFAR-10 ResNeXt\n"
    "  --arch NAME           an architecture with random weights instead\n"
    "  --label-file F        class names, one a line or a JSON array\n"
    "  --device N|NAME|UUID  default: $CARDINAL_DEVICE, else the best; see cardinal devices\n"
    "  --precision P         auto, fp32 or fp16\n"
    "  --cam on|off          the class activation map over the picture; default on\n"
    "  --class NAME|N        the class that the map is of; default: the best\n"
    "  --size WxH            of the window, default 1280x720\n"
    "  --fullscreen\n"
    "  --seconds S           a picture of several is shown so long, default 5\n"
    "  --font FILE           a TrueType font; default: $CARDINAL_FONT, else one of the system\n"
    "  --list                prints the cameras, and ends\n\n"
    "Without a person:\n"
    "  --frames N            ends after N frames, counted from the first result on\n"
    "  --screenshot FILE     writes the last frame as a PNG (with --frames)\n"
    "  --offscreen           no window; so it is where there is no display, with --frames\n"
    "  --stats               prints figures as a line of JSON at the end\n"
    "  --validate            runs under the Khronos validation layer; a message makes the exit status 1\n"
    "  --verbose             the engine's whole account on stderr\n\n"
    "Keys: F1 shows them. Exit status: 0; 1 a source or file failed; 2 usage; 3 no usable device or display;\n"
    "4 no model.\n";

static bool parse_size(const char *text, struct demo_options *o) {
    char first[16];
    const char *x = strchr(text, 'x');
    if (!x || (size_t)(x - text) >= sizeof first)
        return false;
    snprintf(first, sizeof first, "%.*s", (int)(x - text), text);
    return parse_int_in(first, 64, 8192, &o->width) && parse_int_in(x + 1, 64, 8192, &o->height);
}

static bool parse_precision(const char *text, struct demo_options *o) {
    static const char *const names[] = {"auto", "fp32", "fp16"};
    return parse_choice(text, names, 3, &o->app.precision);
}

static bool parse_cam(const char *text, struct demo_options *o) {
    o->cam = !strcmp(text, "on");
    return o->cam || !strcmp(text, "off");
}

static bool parse_frames(const char *text, struct demo_options *o) {
    return parse_int_in(text, 1, 100000000, &o->frames);
}

static bool parse_seconds(const char *text, struct demo_options *o) {
    char *end;
    o->seconds = strtod(text, &end);
    return end != text && !*end && o->seconds >= 0.01 && o->seconds <= 3600;
}

static bool parse_source(const char *text, struct demo_options *o) {
    if (o->num_sources == MAX_GIVEN)
        return false;
    o->sources[o->num_sources++] = text;
    return true;
}

static const struct {
    const char *name, *expects;
    size_t text, flag; // offset of what is set, or
    bool (*parse)(const char *text, struct demo_options *o);
} table[] = {
    {.name = "--source", .expects = "a source, at most 32 times", .parse = parse_source},
    {.name = "--model", .expects = "a file or a name", .text = offsetof(struct demo_options, app.model)},
    {.name = "--arch", .expects = "a name", .text = offsetof(struct demo_options, app.arch)},
    {.name = "--label-file", .expects = "a file", .text = offsetof(struct demo_options, app.label_file)},
    {.name = "--device",
     .expects = "an index, UUID or part of a name",
     .text = offsetof(struct demo_options, app.device)},
    {.name = "--precision", .expects = "auto, fp32 or fp16", .parse = parse_precision},
    {.name = "--cam", .expects = "on or off", .parse = parse_cam},
    {.name = "--class", .expects = "a class", .text = offsetof(struct demo_options, class_name)},
    {.name = "--size", .expects = "WIDTHxHEIGHT, 64 to 8192", .parse = parse_size},
    {.name = "--seconds", .expects = "seconds, 0.01 to 3600", .parse = parse_seconds},
    {.name = "--font", .expects = "a file", .text = offsetof(struct demo_options, font)},
    {.name = "--frames", .expects = "a number from 1", .parse = parse_frames},
    {.name = "--screenshot", .expects = "a file", .text = offsetof(struct demo_options, screenshot)},
    {.name = "--fullscreen", .flag = offsetof(struct demo_options, fullscreen)},
    {.name = "--offscreen", .flag = offsetof(struct demo_options, offscreen)},
    {.name = "--stats", .flag = offsetof(struct demo_options, stats)},
    {.name = "--validate", .flag = offsetof(struct demo_options, validate)},
    {.name = "--verbose", .flag = offsetof(struct demo_options, app.verbose)},
    {.name = "--list", .flag = offsetof(struct demo_options, list)},
    {.name = "--help", .flag = offsetof(struct demo_options, help)},
};

static bool parse_option(struct demo_options *out, int argc, char **argv, int *i) {
    const char *argument = argv[*i];
    const size_t length = strcspn(argument, "=");
    for (size_t j = 0; j < sizeof table / sizeof *table; j++) {
        if (strlen(table[j].name) != length || memcmp(table[j].name, argument, length))
            continue;
        if (!table[j].expects) {
            *(bool *)(void *)((char *)out + table[j].flag) = true;
            return !argument[length] || (complain("%s takes no value", table[j].name), false);
        }
        const char *value = argument[length] ? argument + length + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (value && !table[j].parse)
            memcpy((char *)out + table[j].text, &value, sizeof value);
        if (value && (!table[j].parse || table[j].parse(value, out)))
            return true;
        complain("%s expects %s%s%s", table[j].name, table[j].expects, value ? ", not " : "", value ? value : "");
        return false;
    }
    complain("unknown option %s; see cardinal-demo --help", argument);
    return false;
}

bool is_model_file(const char *path) {
    static const char *const extensions[] = {".safetensors", ".pth", ".pt", NULL};
    return has_extension(path, extensions);
}

// Whether --screenshot leaves alone what is shown, the weights and the labels.
static bool spares_inputs(const struct demo_options *o) {
    const char *inputs[MAX_GIVEN + 2];
    for (int i = 0; i < o->num_sources; i++)
        inputs[i] = o->sources[i];
    inputs[o->num_sources] = o->app.model;
    inputs[o->num_sources + 1] = o->app.label_file;
    return !o->screenshot || screenshot_spares(o->screenshot, inputs, o->num_sources + 2);
}

bool demo_options_parse(struct demo_options *out, int argc, char **argv) {
    *out = (struct demo_options){.width = 1280, .height = 720, .seconds = 5, .cam = true};
    bool only_inputs = false;
    for (int i = 1; i < argc; i++) {
        if (!only_inputs && !strcmp(argv[i], "--")) {
            only_inputs = true;
        } else if (!only_inputs && !strcmp(argv[i], "-h")) {
            out->help = true;
        } else if (!only_inputs && argv[i][0] == '-' && argv[i][1]) {
            if (!parse_option(out, argc, argv, &i))
                return false;
        } else if (is_model_file(argv[i])) {
            out->app.model = argv[i];
        } else if (!parse_source(argv[i], out)) {
            complain("more than %d sources", MAX_GIVEN);
            return false;
        }
    }
    if (out->app.model && out->app.arch)
        complain("--model and --arch exclude each other");
    else if (out->screenshot && !out->frames)
        complain("--screenshot goes with --frames; in the window, S takes one");
    else if (out->offscreen && !out->frames)
        complain("--offscreen goes with --frames: nobody could end it");
    else
        return spares_inputs(out);
    return false;
}
