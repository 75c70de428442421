// commands.c - the commands of `cardinal`, and what its help and its manual page say of them beside their options.
#include "command_line.h"

#include <stddef.h>

static const struct command commands[] = {
    {.name = "classify",
     .bit = COMMAND_CLASSIFY,
     .max_operands = -1,
     .completes = COMPLETES_FILES,
     .summary = "name what pictures show",
     .synopsis = "[OPTION]... IMAGE|FOLDER|- ...",
     .description = "Prints the best classes of every picture (JPEG, PNG, BMP, GIF, PNM; WebP, TIFF, HEIC and AVIF "
                    "where the build has their libraries), in the order given. A folder is all pictures in it and "
                    "below it; - is a list of paths on standard input, one a line.",
     .statuses = "0 all classified; 1 some failed, or the output could not be written; 2 usage; 3 no usable device; 4 "
                 "no model.",
     .examples = {{"holiday.jpg", "the five best classes of a picture"},
                  {"-k 1 -f csv -o names.csv pictures", "the best class of every picture in a folder, as a table"},
                  {"-m resnext50_32x4d --cam seen pictures",
                   "by ImageNet weights, and with heat maps in the folder seen"}},
     .run = command_classify},
    {.name = "eval",
     .bit = COMMAND_EVAL,
     .max_operands = 1,
     .completes = COMPLETES_FOLDERS,
     .summary = "measure accuracy on a folder with a folder for every class",
     .synopsis = "[OPTION]... FOLDER\n[OPTION]... --list FILE [FOLDER]",
     .description =
         "Measures how often the best class, and one of the best five, is right. FOLDER holds a folder for "
         "every class, called like it or by its WordNet id (n01440764); where none is, and there are as many folders "
         "as classes, "
         "they count in order of name, as in torchvision's ImageFolder. Ctrl-C gives the result so far.",
     .statuses =
         "0 all done; 1 some pictures failed, or the output could not be written; 2 usage, or folders that are no "
         "classes; 3 no usable device; 4 no model; 130 interrupted.",
     .examples = {{"-m resnext50_32x4d imagenet/val", "the accuracy of published weights"},
                  {"-f json --predictions each.jsonl test", "for a script, with a line for each picture"}},
     .run = command_eval},
    {.name = "similar",
     .bit = COMMAND_SIMILAR,
     .max_operands = -1,
     .completes = COMPLETES_FILES,
     .summary = "find the pictures that look most like one",
     .synopsis = "[OPTION]... PICTURE FOLDER|IMAGE|- ...",
     .description = "Lists the pictures whose features, what the network sees before it names a class, are nearest to "
                    "PICTURE's: their cosine, 1 being the same.",
     .statuses = "0 all done; 1 some pictures failed, or the output could not be written; 2 usage; 3 no usable device; "
                 "4 no model.",
     .examples = {{"cat.jpg pictures", "the ten pictures in a folder that look most like a cat's"},
                  {"-k 1 -f csv new.png old", "the nearest one, as a table"}},
     .run = command_similar},
    {.name = "train",
     .bit = COMMAND_TRAIN,
     .max_operands = 2,
     .completes = COMPLETES_FOLDERS,
     .summary = "learn to classify, from folders of pictures",
     .synopsis = "[OPTION]... TRAIN VAL",
     .description =
         "Trains a network, or fine-tunes one, by torchvision's recipe. TRAIN holds a folder of pictures for every "
         "class, VAL others of the same classes, by which it is judged after every epoch. Where the model has another "
         "number of classes, its last layer begins anew.\n"
         "DIR gets last.safetensors and best.safetensors, which every other command takes as --model, log.jsonl, and "
         "last.state, from which --resume goes on. Ctrl-C saves and ends.",
     .statuses = "0 all done; 1 training failed, or a file could not be written; 2 usage, or folders without pictures; "
                 "3 no usable device; 4 no model; 130 interrupted.",
     .examples = {{"--freeze stem,layer1,layer2 --lr 0.01 my/train my/val",
                   "teach the bundled model classes of one's own"},
                  {"--arch resnext50_32x4d --epochs 100 -o run1 train val", "the published recipe, from new weights"},
                  {"--resume -o run1 train val", "go on after an interruption; with the same options"}},
     .run = command_train},
    {.name = "bench",
     .bit = COMMAND_BENCH,
     .max_operands = 0,
     .summary = "measure speed, layer by layer",
     .synopsis = "[OPTION]...",
     .description = "Runs networks on devices and reports latency, throughput, memory and the time of every layer "
                    "beside the measured peaks of the device. A LIST is values separated by commas; every combination "
                    "is a row. --suite takes a fixed set of rows instead, several times in turn, and gives a score.",
     .statuses = "0 every row is ok or unsupported; 1 a row failed, or the output could not be written; 2 usage; 3 no "
                 "usable device; 4 no model.",
     .examples = {{"-b 1,8,32 --precision fp32,fp16", "ResNeXt-50 in six rows"},
                  {"-m my.safetensors -d all -f json -o speed.json", "one's own network on every GPU"},
                  {"--suite standard -f json -o machine.json", "for cardinal compare"}},
     .run = command_bench},
    {.name = "compare",
     .bit = COMMAND_COMPARE,
     .max_operands = -1,
     .completes = COMPLETES_FILES,
     .summary = "put results of bench side by side",
     .synopsis = "[OPTION]... FILE|FOLDER ...",
     .description = "Compares files that bench -f json wrote; a folder is all .json files in it. Every rate is put "
                    "beside the first file's, as a ratio with its interval: a difference is one beyond the intervals. "
                    "What does not compare, another version of a suite or other weights, is refused.",
     .statuses = "0 all done; 1 --fail-below found a slower row, or the output could not be written; 2 usage, or files "
                 "that cannot be read or do not compare.",
     .examples = {{"before.json after.json", "what a change did"},
                  {"-f html -o machines.html results", "a page of all machines in a folder"},
                  {"--fail-below 0.95 base.json new.json", "for a build that must not become slower"}},
     .run = command_compare},
    {.name = "devices",
     .bit = COMMAND_DEVICES,
     .max_operands = 0,
     .summary = "list the Vulkan devices of this machine",
     .synopsis = "[OPTION]...",
     .description = "Lists the devices, best first, with what they can do and why one cannot be used; then the Vulkan "
                    "layers (overlays and the like) that load themselves into every program.",
     .statuses = "0 a device can be used; 1 the output could not be written; 2 usage; 3 no device can be used.",
     .examples = {{"", "a few lines for each device"}, {"--format json", "the same for a script"}},
     .run = command_devices},
    {.name = "convert",
     .bit = COMMAND_CONVERT,
     .max_operands = 2,
     .completes = COMPLETES_FILES,
     .summary = "write weights as .safetensors, with recipe and labels",
     .synopsis = "[OPTION]... IN OUT.safetensors\n[OPTION]... --arch NAME OUT.safetensors",
     .description = "Writes weights with the recipe of their input and the names of their classes as one file. IN is a "
                    "file or a published model's name, as --model takes it.",
     .statuses = "0 the file is written; 1 it could not be written; 2 usage; 4 no model.",
     .examples = {{"--dtype fp16 --label-file names.txt my.pth my.safetensors", "a training's weights, half as large"},
                  {"resnext50_32x4d resnext50.safetensors", "published weights as a file of one's own"}},
     .run = command_convert},
    {.name = "models",
     .bit = COMMAND_MODELS,
     .max_operands = -1,
     .summary = "list the published models, and which are in the cache",
     .synopsis = "[OPTION]... [PART]...",
     .description = "Lists what --model takes by name, with sizes and accuracies; with PART, only names that contain "
                    "one of them.",
     .statuses = "0 all done; 1 the output could not be written, or nothing matched; 2 usage.",
     .examples = {{"", "all of them"}, {"-f json resnext", "the ResNeXts, for a script"}},
     .run = command_models},
};

static const struct described environment[] = {
    {"CARDINAL_DEVICE", "the device, as in --device"},
    {"CARDINAL_CACHE", "the folder for downloaded weights, compiled kernels and what the tuner found; default: "
                       "$XDG_CACHE_HOME/cardinal, else ~/.cache/cardinal"},
    {"CARDINAL_HUB", "the server that models are fetched from by their names on a Hugging Face hub"},
    {"CARDINAL_MODEL_URL", "where published weights are downloaded from, in place of PyTorch's server"},
    {NULL, NULL},
};

const struct program cardinal_program = {
    .name = "cardinal",
    .version = CARDINAL_VERSION,
    .summary = "ResNeXt image classifiers on any Vulkan GPU",
    .description = "Runs, measures and converts image classifiers of the ResNet family on the GPUs of any vendor, "
                   "through Vulkan.\nOptions and inputs come in any order. A value follows its option as --topk 3, "
                   "--topk=3, -k 3 or -k3; short options without a value may be grouped, as in -qv. Behind -- "
                   "everything is an input. Results go to standard output, everything else to standard error.",
    .commands = commands,
    .num_commands = sizeof commands / sizeof *commands,
    .options = cardinal_options,
    .environment = environment,
    .see_also = "cardinal-demo",
};
