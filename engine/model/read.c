// A weights file, or its bytes in memory, to a model: which format it is, or what it seems to be instead.
#include <string.h>

#include "base/file_map.h"
#include "model/model.h"

// What a file that is no model appears to be, with the remedy.
static const char *describe_unknown(const uint8_t *data, size_t size) {
    static const struct {
        const char *magic;
        size_t offset;
        const char *text;
    } known[] = {
        {"version https://git-lfs", 0, "is a git-lfs pointer, not the file itself; run `git lfs pull`"},
        {"<!DOCTYPE", 0, "is a web page, probably an error page saved in place of a download; download the file again"},
        {"<!doctype", 0, "is a web page, probably an error page saved in place of a download; download the file again"},
        {"<html", 0, "is a web page, probably an error page saved in place of a download; download the file again"},
        {"<?xml", 0, "is an XML text, probably an error page saved in place of a download; download the file again"},
        {"\x89HDF", 0, "is an HDF5 file (Keras); save the weights with PyTorch or as .safetensors"},
        {"GGUF", 0, "is a GGUF file; save the weights with PyTorch or as .safetensors"},
        {"TFL3", 4, "is a TensorFlow Lite model; save the weights with PyTorch or as .safetensors"},
        {"\x93NUMPY", 0, "is a NumPy array; save the weights with PyTorch or as .safetensors"},
        {"\x1f\x8b", 0, "is gzip-compressed; decompress it first"},
        {"ustar", 257, "is a tar archive, as PyTorch before 0.1.10 wrote; save the state_dict again with PyTorch"},
        {"\xff\xd8\xff", 0, "is a JPEG picture, no model; exchange the arguments"},
        {"\x89PNG", 0, "is a PNG picture, no model; exchange the arguments"},
    };
    if (size == 0)
        return "is empty; download or save it again";
    for (size_t i = 0; i < CDL_COUNT(known); i++) {
        const size_t n = strlen(known[i].magic);
        if (size >= known[i].offset + n && memcmp(data + known[i].offset, known[i].magic, n) == 0)
            return known[i].text;
    }
    // TensorFlow's: field 1 (version) is 1, field 2 a message, which begins with a field of its own, not with a name.
    if (size >= 6 && data[0] == 0x08 && data[1] == 1 && data[2] == 0x12) {
        size_t at = 3;
        while (at < size && data[at] & 0x80) // the message's length
            at++;
        if (at + 1 < size && data[at + 1] < 0x20)
            return "is a TensorFlow SavedModel; train or convert the network in PyTorch and save its state_dict";
    }
    // A protobuf of ONNX's outermost message: field 1 (ir_version) a small number, then a length-delimited field.
    if (size >= 4 && data[0] == 0x08 && data[1] >= 1 && data[1] < 32 && (data[2] & 7) == 2 && data[2] >> 3 < 32)
        return "appears to be an ONNX model; save the original network's state_dict with PyTorch";
    size_t text = 0;
    while (text < size && text < 256 && (data[text] >= 0x20 || (data[text] >= 9 && data[text] <= 13)))
        text++;
    if (text == size || text == 256)
        return "is a text file, no model; name a .pth or .safetensors file";
    return "is neither .safetensors nor a PyTorch file; convert it, or download it again";
}

cdl_result cdl_model_read_memory(cdl_model **out, const void *data, size_t size, const char *what,
                                 const struct cdl_model_params *params) {
    struct cdl_model *model = cdl_model_new(what);
    if (!model)
        return cdl_fail(&params->log, CDL_ERR_NOMEM, "%s: out of memory", what);
    model->data = data;
    model->size = size;
    cdl_result r;
    if (cdl_is_safetensors(data, size))
        r = cdl_parse_safetensors(&model->list, data, size, what, &params->log);
    else if (cdl_is_pth(data, size))
        r = cdl_parse_pth(&model->list, data, size, what, cdl_params_metadata(params, "weights"), &params->log);
    else
        r = cdl_fail(&params->log, CDL_ERR_FORMAT, "%s: %s", what, describe_unknown(data, size));
    if (r == CDL_OK)
        r = cdl_model_finish(model, params);
    if (r == CDL_OK)
        *out = model;
    else
        cdl_model_destroy(&model);
    return r;
}

static void unmap(void *ctx, const void *data) {
    const struct cdl_model *model = ctx;
    cdl_file_unmap(data, model->size);
}

cdl_result cdl_model_read_file(cdl_model **out, const char *path, const struct cdl_model_params *params) {
    const void *data;
    size_t size;
    cdl_result r = cdl_file_map(&data, &size, path, &params->log);
    if (r != CDL_OK)
        return r;
    r = cdl_model_read_memory(out, data, size, path, params);
    if (r == CDL_OK) {
        (*out)->free_fn = unmap;
        (*out)->free_ctx = *out;
    } else {
        cdl_file_unmap(data, size);
    }
    return r;
}
