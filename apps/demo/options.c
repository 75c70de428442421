// options.c - see options.h.
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drawing/screenshot.h"
#include "parse.h"
#include "system/text.h"

#define PARSE(function) static bool function(const struct option *option, const char *text, void *field)

PARSE(parse_size) {
    struct demo_options *o = field;
    char first[16];
    const char *x = strchr(text, 'x');
    (void)option;
    if (!x || (size_t)(x - text) >= sizeof first)
        return false;
    snprintf(first, sizeof first, "%.*s", (int)(x - text), text);
    return parse_int_in(first, 64, 8192, &o->width) && parse_int_in(x + 1, 64, 8192, &o->height);
}

PARSE(parse_on_off) {
    int index;
    if (!parse_word(option, text, &index))
        return false;
    *(bool *)field = index == 0;
    return true;
}

PARSE(parse_frames) {
    (void)option;
    return parse_int_in(text, 1, 100000000, field);
}

PARSE(parse_seconds) {
    char *end;
    double *seconds = field;
    (void)option;
    *seconds = strtod(text, &end);
    return end != text && !*end && *seconds >= 0.01 && *seconds <= 3600;
}

PARSE(parse_source) {
    struct demo_options *o = field;
    (void)option;
    if (o->num_sources == MAX_GIVEN)
        return false;
    o->sources[o->num_sources++] = text;
    return true;
}

static const struct value_kind value_source = {parse_source, "a source, at most 32 times", COMPLETES_FILES, NULL},
                               value_on_off = {parse_on_off, NULL, COMPLETES_NOTHING, NULL},
                               value_class = {parse_text, "a class", COMPLETES_NOTHING, NULL},
                               value_size = {parse_size, "WIDTHxHEIGHT, 64 to 8192", COMPLETES_NOTHING, NULL},
                               value_seconds = {parse_seconds, "seconds, 0.01 to 3600", COMPLETES_NOTHING, NULL},
                               value_frames = {parse_frames, "a number from 1", COMPLETES_NOTHING, NULL};

#define FIELD(name) offsetof(struct demo_options, name)

static const struct option options[] = {
    OPTION_HEADING("The model"),
    {"model", 'm', "FILE|NAME", 1, FIELD(app.model), &value_model,
     "weights, as cardinal classify takes them; default: the bundled model"},
    {"arch", 0, "NAME", 1, FIELD(app.arch), &value_name, "an architecture with random weights instead"},
    {"label-file", 0, "FILE", 1, FIELD(app.label_file), &value_file, "class names: one a line, or a JSON array"},
    {"device", 'd', "N|NAME|UUID", 1, FIELD(app.device), &value_device,
     "which GPU; default: $CARDINAL_DEVICE, else the best; see cardinal devices"},
    {"precision", 0, "auto|fp32|fp16", 1, FIELD(app.precision), &value_word,
     "how weights and activations are stored; default auto: fp16 on GPUs that have it"},

    OPTION_HEADING("What is shown"),
    {"source", 0, "SOURCE", 1, 0, &value_source, "the same as SOURCE; up to 32 in all"},
    {"cam", 0, "on|off", 1, FIELD(cam), &value_on_off,
     "the heat map (class activation map) over the picture; default on"},
    {"class", 0, "NAME|N", 1, FIELD(class_name), &value_class, "the class that the heat map is of; default: the best"},
    {"size", 0, "WxH", 1, 0, &value_size, "of the window, 64 to 8192 a side; default 1280x720"},
    {"fullscreen", 0, NULL, 1, FIELD(fullscreen), NULL, "begin with the whole screen"},
    {"seconds", 0, "S", 1, FIELD(seconds), &value_seconds, "how long each of several pictures is shown; default 5"},
    {"font", 0, "FILE", 1, FIELD(font), &value_file,
     "a TrueType font; default: $CARDINAL_FONT, else one of the system"},
    {"list", 0, NULL, 1, FIELD(list), NULL, "print the cameras, and end"},

    OPTION_HEADING("Without a person"),
    {"frames", 0, "N", 1, FIELD(frames), &value_frames, "end after N frames, counted from the first result on"},
    {"screenshot", 0, "FILE", 1, FIELD(screenshot), &value_file, "write the last frame as a PNG; with --frames"},
    {"offscreen", 0, NULL, 1, FIELD(offscreen), NULL,
     "open no window; with --frames; so it is by itself where there is no display"},
    {"stats", 0, NULL, 1, FIELD(stats), NULL, "print figures as a line of JSON at the end"},
    {"validate", 0, NULL, 1, FIELD(validate), NULL,
     "run under the Khronos validation layer; any message of it makes the exit status 1"},

    OPTION_HEADING("Messages"),
    {"verbose", 'v', NULL, 1, FIELD(app.verbose), NULL, "many more messages on standard error"},
    {"help", 'h', NULL, 1, FIELD(help), NULL, NULL}, // each help ends with it
    OPTIONS_END,
};

bool is_model_file(const char *path) {
    static const char *const extensions[] = {".safetensors", ".pth", ".pt", NULL};
    return has_extension(path, extensions);
}

static bool take_operand(const char *text, void *out) {
    struct demo_options *o = out;
    if (is_model_file(text)) {
        o->app.model = text;
        return true;
    }
    if (o->num_sources < MAX_GIVEN) {
        o->sources[o->num_sources++] = text;
        return true;
    }
    complain("more than %d sources", MAX_GIVEN);
    return false;
}

static const struct command command = {
    .name = "",
    .bit = 1,
    .max_operands = -1,
    .completes = COMPLETES_FILES,
    .synopsis = "[OPTION]... [SOURCE|MODEL]...",
    .description =
        "Classifies a camera, a video or pictures live, and shows what the GPU does.\nSOURCE is a picture, a folder, a "
        "video file, an address (rtsp://, http://, ...), camera, camera:PART OF ITS NAME, or lavfi:GRAPH (FFmpeg's "
        "test sources). Without one: the first camera that works, else the bundled pictures. MODEL is a .pth or "
        ".safetensors file.\nIn the window, F1 shows the keys.",
    .statuses = "0 all was done; 1 a source or file failed; 2 usage; 3 no usable device or display; 4 no model.",
    .examples = {{"camera", "what the first camera sees"},
                 {"-m resnext50_32x4d video.mp4", "a video, by ImageNet weights"},
                 {"--frames 60 --screenshot demo.png pictures",
                  "for a script: a picture of the window after 60 frames"}},
    .operand = take_operand,
};

static const struct described environment[] = {
    {"CARDINAL_DEVICE", "the device, as in --device"},
    {"CARDINAL_FONT", "a TrueType font, as in --font"},
    {"CARDINAL_CACHE", "the folder for downloaded weights and compiled kernels"},
    {NULL, NULL},
};

const struct program demo_program = {
    .name = "cardinal-demo",
    .version = CARDINAL_VERSION,
    .summary = "live image classification on any Vulkan GPU",
    .commands = &command,
    .num_commands = 1,
    .options = options,
    .environment = environment,
    .see_also = "cardinal",
};

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
    if (arguments_parse(&demo_program, &command, argc, argv, out) < 0)
        return false;
    if (out->help)
        return true;
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
