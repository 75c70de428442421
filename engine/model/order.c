// Which tensor is which where names do not tell: a residual network by the order of its modules and their shapes.
//
// Names still say which convolutions make a block: they share a path that no other has. A network whose layers lie in
// one row, such as a VGG, has no such paths, and a plain one lacks the shortcuts that a change of width needs; neither
// is taken for a residual network.
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

enum { MAX_TENSORS = 16384, MAX_PATH_LENGTH = 160 };

struct module {
    const struct cdl_tensor *weight; // of a norm: running_mean
    char path[MAX_PATH_LENGTH];
};

struct block {
    int first, count; // convolutions
    int shortcut;     // which of them is the shortcut; -1: none
    bool bottleneck;
    int stage, index;           // torchvision's
    char path[MAX_PATH_LENGTH]; // of all its modules, with a dot at its end
};

struct finder {
    const struct cdl_tensor_list *list;
    const struct cdl_tensor **sorted;   // by name
    struct module *all, *convs, *norms; // all: the stem's convolution, too
    struct block *blocks;
    int num_all, num_convs, num_norms, num_blocks;
    const struct cdl_tensor *stem, *head;
    char stem_path[MAX_PATH_LENGTH], head_path[MAX_PATH_LENGTH];
    bool weightless; // blocks may widen without a shortcut's weights
    char **roles;
    const char *problem;
};

static bool fail(struct finder *f, const char *problem) {
    f->problem = problem;
    return false;
}

// ---- order of names

// As strcmp, but numbers by their value, so that block.10 follows block.9.
static int compare_natural(const char *a, const char *b) {
    for (; *a && *b; a++, b++) {
        const size_t m = strspn(a, "0123456789"), n = strspn(b, "0123456789");
        if (m != n && m > 0 && n > 0)
            return m < n ? -1 : 1;
        if (*a != *b)
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
    }
    return (*a != 0) - (*b != 0);
}

static int compare_modules(const void *a, const void *b) {
    return compare_natural(((const struct module *)a)->path, ((const struct module *)b)->path);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const struct cdl_tensor *const *)a)->name, (*(const struct cdl_tensor *const *)b)->name);
}

static const struct cdl_tensor *find(const struct finder *f, const char *path, const char *leaf) {
    char name[MAX_PATH_LENGTH + 24];
    cdl_format_text(name, sizeof(name), "%s.%s", path, leaf);
    const struct cdl_tensor key = {.name = name}, *pointer = &key;
    const struct cdl_tensor **found =
        bsearch(&pointer, f->sorted, (size_t)f->list->count, sizeof(pointer), compare_names);
    return found ? *found : NULL;
}

// ---- what there is

static bool split(const struct cdl_tensor *t, const char *leaf, char path[MAX_PATH_LENGTH]) {
    const size_t length = strlen(t->name), end = strlen(leaf) + 1;
    if (length <= end || length - end >= MAX_PATH_LENGTH || t->name[length - end] != '.' ||
        strcmp(t->name + length - end + 1, leaf))
        return false;
    memcpy(path, t->name, length - end);
    path[length - end] = 0;
    return true;
}

static bool is_vector(const struct cdl_tensor *t, int64_t n) { return t && t->num_dims == 1 && t->shape[0] == n; }

static bool add_conv(struct finder *f, const struct cdl_tensor *t) {
    struct module *m = &f->all[f->num_all++];
    m->weight = t;
    return (split(t, "weight", m->path) && t->shape[2] == t->shape[3]) ||
           fail(f, "a convolution is of an unknown kind");
}

static bool collect(struct finder *f) {
    bool alphabetic = true;
    for (int i = 0; i < f->list->count; i++) {
        const struct cdl_tensor *t = &f->list->items[i];
        f->sorted[i] = t;
        alphabetic = alphabetic && (i == 0 || strcmp(t[-1].name, t->name) < 0);
    }
    qsort(f->sorted, (size_t)f->list->count, sizeof(*f->sorted), compare_names);
    for (int i = 0; i < f->list->count; i++) {
        const struct cdl_tensor *t = &f->list->items[i];
        if (cdl_tensor_is_bookkeeping(t) || cdl_tensor_is_beside(t->name))
            continue;
        if (t->num_dims == 4 && !add_conv(f, t))
            return false;
        if (t->num_dims == 2 && f->head)
            return fail(f, "several matrices could be the classifier");
        if (t->num_dims == 2 && split(t, "weight", f->head_path))
            f->head = t;
        if (t->num_dims == 1 && split(t, "running_mean", f->norms[f->num_norms].path))
            f->norms[f->num_norms++].weight = t;
    }
    if (!f->head || !is_vector(find(f, f->head_path, "bias"), f->head->shape[0]))
        return fail(f, "no matrix with a bias could be the classifier");
    if (f->num_norms != f->num_all)
        return fail(f, "there is not one batch norm for each convolution");
    if (alphabetic) { // the order says nothing, as in most .safetensors files
        qsort(f->all, (size_t)f->num_all, sizeof(*f->all), compare_modules);
        qsort(f->norms, (size_t)f->num_norms, sizeof(*f->norms), compare_modules);
    }
    return true;
}

// ---- blocks

static bool is_conv(const struct cdl_tensor *t, int64_t kernel, int64_t in, int64_t out) {
    return t->shape[2] == kernel && t->shape[1] == in && t->shape[0] == out;
}

// Whether the convolutions make one block on `in` channels; block->shortcut and ->bottleneck follow.
static bool fits(const struct finder *f, struct block *block, int64_t in) {
    const struct cdl_tensor *w[4];
    int n = 0, spatial = 0, at = 0;
    block->shortcut = -1;
    for (int i = 0; i < block->count; i++)
        spatial += f->convs[block->first + i].weight->shape[2] == 3;
    block->bottleneck = spatial == 1;
    if (spatial != 1 && spatial != 2)
        return false;
    const int length = block->bottleneck ? 3 : 2;
    if (block->count == length + 1) { // the shortcut stands last, or first
        const int64_t second = f->convs[block->first + 1].weight->shape[2];
        const int64_t first = f->convs[block->first].weight->shape[2];
        at = (block->bottleneck ? second == 1 : first == 1) ? 0 : length;
        block->shortcut = at;
    } else if (block->count != length) {
        return false;
    }
    for (int i = 0; i < block->count; i++)
        if (i != block->shortcut)
            w[n++] = f->convs[block->first + i].weight;
    const int64_t out = w[n - 1]->shape[0], width = w[0]->shape[0];
    if (block->shortcut >= 0 && !is_conv(f->convs[block->first + at].weight, 1, in, out))
        return false;
    if (block->shortcut < 0 && out != in && !f->weightless)
        return false;
    if (!block->bottleneck)
        return is_conv(w[0], 3, in, out) && is_conv(w[1], 3, out, out);
    return is_conv(w[0], 1, in, width) && w[1]->shape[2] == 3 && w[1]->shape[0] == width && w[1]->shape[1] > 0 &&
           width % w[1]->shape[1] == 0 && is_conv(w[2], 1, width, out);
}

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

// The path that the block's convolutions share, and no other convolution, batch norm or the head; false: none.
static bool find_path(const struct finder *f, struct block *block) {
    const struct module *first = &f->convs[block->first];
    size_t length = strlen(first->path);
    for (int i = 1; i < block->count; i++) {
        size_t same = 0;
        while (same < length && first->path[same] == first[i].path[same])
            same++;
        length = same;
    }
    while (length > 0 && first->path[length - 1] != '.')
        length--;
    memcpy(block->path, first->path, length);
    block->path[length] = 0;
    if (length == 0 || starts_with(f->stem_path, block->path) || starts_with(f->head_path, block->path))
        return false;
    for (int i = 0; i < f->num_convs; i++)
        if ((i < block->first || i >= block->first + block->count) && starts_with(f->convs[i].path, block->path))
            return false;
    int norms = 0;
    for (int i = 0; i < f->num_norms; i++)
        norms += starts_with(f->norms[i].path, block->path);
    return norms == block->count;
}

static bool find_blocks(struct finder *f) {
    int64_t channels = f->stem->shape[0];
    int stage = 0, index = 0, shortcuts = 0;
    bool widens = false;
    for (int at = 0; at < f->num_convs;) {
        struct block block = {.first = at};
        for (block.count = 4; block.count >= 2; block.count--)
            if (at + block.count <= f->num_convs && fits(f, &block, channels) && find_path(f, &block))
                break;
        if (block.count < 2)
            return fail(f, "its convolutions do not form residual blocks");
        const int64_t out =
            f->convs[at + (block.shortcut == block.count - 1 ? block.count - 2 : block.count - 1)].weight->shape[0];
        if (f->num_blocks > 0 && block.bottleneck != f->blocks[0].bottleneck)
            return fail(f, "it mixes two kinds of blocks");
        if (f->num_blocks > 0 && (block.shortcut >= 0 || out != channels)) {
            stage++;
            index = 0;
        }
        if (stage == 4)
            return fail(f, "it has more than four stages");
        shortcuts += block.shortcut >= 0;
        widens = widens || out != channels || block.bottleneck;
        block.stage = stage + 1;
        block.index = index++;
        f->blocks[f->num_blocks++] = block;
        channels = out;
        at += block.count;
    }
    if (f->num_blocks == 0 || f->head->shape[1] != channels)
        return fail(f, "its classifier does not fit its last block");
    if (shortcuts == 0 && !f->weightless)
        return fail(f, "it has no shortcuts, as a plain network has none");
    if (!widens) // batch norms before or after their convolutions: only a change of width shows it
        return fail(f, "all its layers have one width, so that order and shapes do not tell them apart");
    return true;
}

// ---- names

static bool give(struct finder *f, const struct cdl_tensor *t, const char *module, const char *leaf) {
    char name[80], **role = &f->roles[t - f->list->items];
    if (*role)
        return fail(f, "one of its tensors would be two of the network's");
    cdl_format_text(name, sizeof(name), "%s.%s", module, leaf);
    char *copy = cdl_copy_text(name);
    *role = copy;
    return copy || fail(f, "memory ran out");
}

static bool give_conv(struct finder *f, const struct cdl_tensor *weight, const char *path, const char *module) {
    const struct cdl_tensor *bias = find(f, path, "bias");
    return give(f, weight, module, "weight") && (!bias || give(f, bias, module, "bias"));
}

static bool give_norm(struct finder *f, const struct module *norm, int64_t channels, const char *module) {
    static const char *const leaves[] = {"weight", "bias", "running_mean", "running_var"};
    for (int i = 0; i < 4; i++) {
        const struct cdl_tensor *t = find(f, norm->path, leaves[i]);
        if (!is_vector(t, channels))
            return fail(f, "its batch norms do not fit its convolutions");
        if (!give(f, t, module, leaves[i]))
            return false;
    }
    return true;
}

static bool name_block(struct finder *f, const struct block *block) {
    int norm = -1, main = 0;
    for (int i = 0; i < block->count; i++) {
        const struct module *conv = &f->convs[block->first + i];
        char module[48], other[48];
        do
            norm++;
        while (!starts_with(f->norms[norm].path, block->path)); // find_path counted them
        if (i == block->shortcut) {
            cdl_format_text(module, sizeof(module), "layer%d.%d.downsample.0", block->stage, block->index);
            cdl_format_text(other, sizeof(other), "layer%d.%d.downsample.1", block->stage, block->index);
        } else {
            main++;
            cdl_format_text(module, sizeof(module), "layer%d.%d.conv%d", block->stage, block->index, main);
            cdl_format_text(other, sizeof(other), "layer%d.%d.bn%d", block->stage, block->index, main);
        }
        if (!give_conv(f, conv->weight, conv->path, module) ||
            !give_norm(f, &f->norms[norm], conv->weight->shape[0], other))
            return false;
    }
    return true;
}

static bool name_all(struct finder *f) {
    const struct module *stem_norm = NULL;
    for (int i = 0; i < f->num_norms; i++) {
        bool inside = false;
        for (int b = 0; b < f->num_blocks && !inside; b++)
            inside = starts_with(f->norms[i].path, f->blocks[b].path);
        if (!inside)
            stem_norm = &f->norms[i]; // the only one: there is one for each convolution
    }
    if (!stem_norm)
        return fail(f, "its batch norms do not fit its convolutions");
    for (int b = 0; b < f->num_blocks; b++)
        if (!name_block(f, &f->blocks[b]))
            return false;
    return give_conv(f, f->stem, f->stem_path, "conv1") && give_norm(f, stem_norm, f->stem->shape[0], "bn1") &&
           give(f, f->head, "fc", "weight") && give(f, find(f, f->head_path, "bias"), "fc", "bias");
}

static void forget_roles(struct finder *f) {
    for (int i = 0; i < f->list->count; i++) {
        free(f->roles[i]);
        f->roles[i] = NULL;
    }
}

// The stem's convolution takes three channels; others may, too, in groups of three: the first that leaves blocks is it.
static bool try_stems(struct finder *f) {
    enum { MAX_TRIED = 16 };
    f->problem = "no convolution takes three channels";
    for (int i = 0, tried = 0; i < f->num_all && tried < MAX_TRIED; i++) {
        if (f->all[i].weight->shape[1] != 3)
            continue;
        tried++;
        f->stem = f->all[i].weight;
        memcpy(f->stem_path, f->all[i].path, sizeof(f->stem_path));
        f->num_convs = f->num_blocks = 0;
        for (int k = 0; k < f->num_all; k++)
            if (k != i)
                f->convs[f->num_convs++] = f->all[k];
        if (find_blocks(f) && name_all(f))
            return true;
        forget_roles(f);
    }
    return false;
}

bool cdl_roles_by_order(const struct cdl_tensor_list *list, bool weightless, char **roles, const char **problem) {
    struct finder f = {.list = list, .weightless = weightless, .roles = roles};
    const size_t count = (size_t)list->count;
    bool ok = false;
    if (count > MAX_TENSORS) {
        *problem = "there are too many tensors";
        return false;
    }
    f.sorted = calloc(count, sizeof(*f.sorted));
    f.all = calloc(count, sizeof(*f.all));
    f.convs = calloc(count, sizeof(*f.convs));
    f.norms = calloc(count, sizeof(*f.norms));
    f.blocks = calloc(count, sizeof(*f.blocks));
    if (!f.sorted || !f.all || !f.convs || !f.norms || !f.blocks)
        fail(&f, "memory ran out");
    else
        ok = collect(&f) && try_stems(&f);
    free(f.sorted);
    free(f.all);
    free(f.convs);
    free(f.norms);
    free(f.blocks);
    *problem = f.problem;
    return ok;
}
