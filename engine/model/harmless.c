// Tensors that no answer depends on, and what a list of tensors resembles that is no residual network.
#include <string.h>

#include "model/model.h"

// The last part of a name: bookkeeping of training and of tools, wherever in the network it stands.
static const char *const BOOKKEEPING[] = {
    "num_batches_tracked", // batch norm's counter
    "total_ops",
    "total_params", // thop's counts
    "__flops__",
    "__params__", // ptflops' counts
    "n_averaged", // torch.optim.swa_utils.AveragedModel
    "num_updates",
    "global_step", // moving averages
    "seen",        // pictures seen, as Darknet counts
};

// The first part of a name that does not belong to the network: what training keeps beside it.
static const char *const BESIDE[] = {
    "criterion", "criterions",    "criteria",     "loss",          "losses",        "loss_fn",   "loss_func",
    "optimizer", "class_weight",  "weight_ce",    "class_weights", "queue",         "queue_ptr", "ema",
    "model_ema", "ema_model",     "net_ema",      "teacher",       "teacher_model", "swa_model", "train_acc",
    "val_acc",   "train_metrics", "test_acc",     "valid_acc",     "val_metrics",   "metrics",   "train_accuracy",
    "metric",    "test_metrics",  "val_accuracy", "test_accuracy", "train_loss",    "val_loss",
};

bool cdl_tensor_is_bookkeeping(const struct cdl_tensor *t) {
    const char *dot = strrchr(t->name, '.'), *last = dot ? dot + 1 : t->name;
    if (cdl_tensor_count(t) == 0) // such as observers of quantisation keep
        return true;
    for (size_t i = 0; i < CDL_COUNT(BOOKKEEPING); i++)
        if (strcmp(last, BOOKKEEPING[i]) == 0)
            return true;
    return false;
}

bool cdl_tensor_is_beside(const char *name) {
    const size_t length = strcspn(name, ".");
    for (size_t i = 0; i < CDL_COUNT(BESIDE); i++)
        if (strlen(BESIDE[i]) == length && strncmp(name, BESIDE[i], length) == 0)
            return true;
    return false;
}

// Parts of names that only certain networks have; the first that is found counts.
static const struct {
    const char *part, *text;
} LIKENESSES[] = {
    {"denselayer", "this resembles a DenseNet, which is not supported"},
    {"denseblock", "this resembles a DenseNet, which is not supported"},
    {"cls_token", "this resembles a vision transformer, which is not supported"},
    {"patch_embed", "this resembles a vision transformer, which is not supported"},
    {"attention", "this resembles a network with attention, which is not supported"},
    {".attn", "this resembles a network with attention, which is not supported"},
    {"dwconv", "this resembles a ConvNeXt, which is not supported"},
    {"_depthwise_conv", "this resembles an EfficientNet, which is not supported"},
    {"conv_dw", "this resembles a MobileNet or EfficientNet, which is not supported"},
    {"conv_pwl", "this resembles a MobileNet or EfficientNet, which is not supported"},
    {"Mixed_", "this resembles an Inception, which is not supported"},
    {"inception", "this resembles an Inception, which is not supported"},
    {"squeeze.weight", "this resembles a SqueezeNet, which is not supported"},
    {".se.", "squeeze-and-excitation (SE-ResNet) is not supported"},
    {".se_module.", "squeeze-and-excitation (SE-ResNet) is not supported"},
    {".eca", "efficient channel attention (ECA-ResNet) is not supported"},
    {"prelu", "learned activations (PReLU) are not supported"},
    {"alpha", "learned activations are not supported"},
    {"layer5.", "residual networks of at most four stages are supported"},
    {"features.0.", "this resembles a VGG, AlexNet or MobileNet, which are not supported"},
    {"conv1.3.weight", "a stem of three convolutions (ResNet-C, -D) is not supported"},
    {"bert", "this resembles a language model, which is not supported"},
    {"decoder", "this resembles an encoder with a decoder; only classifiers are supported"},
};

static const struct cdl_tensor *find(const struct cdl_tensor_list *list, const char *name) {
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

// Batch norm before the convolution, as in He et al. 2016 ("Identity mappings"): its channels are those that come in,
// which shows where a block changes their number, and nothing stands behind the first convolution.
static bool is_preactivation(const struct cdl_tensor_list *list) {
    if (!find(list, "layer1.0.bn1.weight") || !find(list, "conv1.weight"))
        return false;
    if (!find(list, "bn1.weight"))
        return true;
    for (int stage = 1; stage <= 4; stage++) {
        char name[48];
        cdl_format_text(name, sizeof(name), "layer%d.0.bn1.weight", stage);
        const struct cdl_tensor *norm = find(list, name);
        cdl_format_text(name, sizeof(name), "layer%d.0.conv1.weight", stage);
        const struct cdl_tensor *conv = find(list, name);
        if (norm && conv && norm->num_dims == 1 && conv->num_dims == 4 && norm->shape[0] != conv->shape[0] &&
            norm->shape[0] == conv->shape[1])
            return true;
    }
    return false;
}

const char *cdl_likeness(const struct cdl_tensor_list *list) {
    if (is_preactivation(list))
        return "this resembles a pre-activation ResNet (batch norm before the convolution), which is not supported";
    for (size_t k = 0; k < CDL_COUNT(LIKENESSES); k++)
        for (int i = 0; i < list->count; i++)
            if (strstr(list->items[i].name, LIKENESSES[k].part))
                return LIKENESSES[k].text;
    return "";
}
