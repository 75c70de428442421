// cdl.h - run ResNeXt classifiers on any Vulkan GPU. Needs no Vulkan header.
//
// True for every function unless its comment says otherwise:
// - Returns CDL_OK or a negative cdl_result. On failure *out is NULL, the reason
//   was logged, and nothing leaks. The library never prints, exits or aborts.
// - `params` is read only during the call. NULL, or the macro alone, means defaults.
// - cdl_x_destroy(&x) waits for x's own GPU work, frees it, sets x to NULL;
//   a pointer to NULL is fine. Destroy sessions before their device.
#ifndef CDL_H_
#define CDL_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Programs that link the static library define CDL_STATIC; the CMake package and pkg-config do it for them.
#if defined(CDL_STATIC)
#define CDL_API
#elif defined(_WIN32) && defined(CDL_BUILD)
#define CDL_API __declspec(dllexport)
#elif defined(_WIN32)
#define CDL_API __declspec(dllimport)
#elif defined(__GNUC__)
#define CDL_API __attribute__((visibility("default"))) // the shared library exports what is marked so, and nothing else
#else
#define CDL_API
#endif

// C++ has no compound literals, and so none of the macros that use them; there struct_size sets itself:
// `cdl_session_params params{};` is all defaults, to be followed by `params.max_batch = 8;`.
#ifdef __cplusplus
#define CDL_STRUCT_SIZE(type) struct_size = sizeof(struct type)
#else
// The first member of every params structure.
#define CDL_STRUCT_SIZE(type) struct_size
#endif

#ifdef __cplusplus
extern "C" {
#endif

// The versions are this header's. Before 1.0 a new minor version may change the interface; later only a new major one
// does.

#define CDL_VERSION_MAJOR 0 // raised when the interface changes
#define CDL_VERSION_MINOR 2 // raised when the interface grows; before 1.0 also when it changes
#define CDL_VERSION_PATCH 0 // raised when only the library changes
// One number to compare, by the preprocessor too: 1002003 is 1.2.3.
#define CDL_VERSION_NUMBER (CDL_VERSION_MAJOR * 1000000 + CDL_VERSION_MINOR * 1000 + CDL_VERSION_PATCH)
CDL_API const char *cdl_version(void); // of the library: "0.2.0"; static string
CDL_API int cdl_version_number(void);  // of the library, as CDL_VERSION_NUMBER

// What functions return: below 0 an error.
typedef enum cdl_result {
    CDL_NOT_READY = 1,        // the timeout passed first; not an error
    CDL_OK = 0,               // done
    CDL_ERR_INVALID = -1,     // the caller broke a documented rule
    CDL_ERR_NOMEM = -2,       // host or device memory
    CDL_ERR_IO = -3,          // file could not be read or written
    CDL_ERR_FORMAT = -4,      // model malformed, truncated or too new
    CDL_ERR_UNSUPPORTED = -5, // no Vulkan, or the device lacks a needed feature
    CDL_ERR_DEVICE_LOST = -6, // sticky: destroy everything made on that device
} cdl_result;
CDL_API const char *cdl_result_str(cdl_result r); // static string, never NULL

// What a log line is about.
typedef enum cdl_log_level {
    CDL_LOG_NONE,  // as cdl_log.level: nothing
    CDL_LOG_ERR,   // why a call failed
    CDL_LOG_WARN,  // a call went on, with a drawback that the message names
    CDL_LOG_INFO,  // what was chosen
    CDL_LOG_DEBUG, // for those who work on Cardinal
} cdl_log_level;
// Where messages go; all zero: nowhere.
typedef struct cdl_log {
    // One line, no newline at its end, valid during the call. May be called from any
    // thread that is inside a cdl_ function. NULL: silent.
    void (*fn)(void *ctx, cdl_log_level level, const char *msg);
    void *ctx;           // handed to fn
    cdl_log_level level; // the least severe level that reaches fn
} cdl_log;

// A hash of all shaders of this build: results of equal ones can be compared. Cheap enough, some 1e6 bytes are read.
CDL_API uint64_t cdl_shaders_hash(void);

// ---- device. Thread-safety: Safe
typedef struct cdl_device cdl_device; // a Vulkan device, with what was learned and made on it

struct cdl_device_params {                     // of cdl_device_create
    size_t CDL_STRUCT_SIZE(cdl_device_params); // set by the macro; lets fields be added later
    cdl_log log;                               // of the device and its sessions, as long as they live
    const char *name;                          // index in cdl_device_list, UUID, or any part of the name; NULL: the
                                               // best (discrete > integrated > virtual > CPU)
    bool hardware_only;                        // never take a software driver (llvmpipe, SwiftShader) unless named
    // An existing folder for files that make later starts faster: compiled pipelines and the tuner's choices.
    // Safe to share between processes; damaged and outdated files are ignored. NULL: nothing is written.
    const char *cache_dir;
    bool validate; // Khronos validation with synchronization checks, where installed;
                   // messages go to log as CDL_LOG_ERR / CDL_LOG_WARN
};
#ifndef __cplusplus
// Parameters written in the call: cdl_device_params(.name = "llvmpipe")
#define cdl_device_params(...) \
    (&(struct cdl_device_params){.struct_size = sizeof(struct cdl_device_params), __VA_ARGS__})
#endif

// Opens a device; with NULL the best.
CDL_API cdl_result cdl_device_create(cdl_device **out, const struct cdl_device_params *params);
// After its sessions: before them it is an error in the log, and the device goes with the last of them. Where commands
// of a destroyed session never end (see cdl_session_destroy), *dev stays, for another try.
CDL_API void cdl_device_destroy(cdl_device **dev);

enum cdl_device_type {     // as VkPhysicalDeviceType, with its values
    CDL_DEVICE_OTHER,      // none of the below
    CDL_DEVICE_INTEGRATED, // a GPU that shares the host's memory
    CDL_DEVICE_DISCRETE,   // a GPU with memory of its own
    CDL_DEVICE_VIRTUAL,    // a GPU of a virtual machine
    CDL_DEVICE_CPU,        // a software driver
};

struct cdl_device_info {                                        // what is known of a device
    char name[256];                                             // "NVIDIA H100", "llvmpipe (LLVM 15.0.6, 256 bits)"
    char driver[256];                                           // driver name and version as the driver tells it
    char uuid[37];                                              // 8-4-4-4-12 hexadecimal digits
    char unusable[128];                                         // why Cardinal cannot use it; empty: it can
    enum cdl_device_type type;                                  // what kind of hardware
    uint32_t vendor_id, device_id, api_version, driver_version; // as in VkPhysicalDeviceProperties
    uint32_t subgroup_size;                                     // invocations that run in step
    uint64_t memory_bytes;                                      // largest device-local heap
    uint64_t free_bytes;            // of that heap's budget, now; 0: the driver does not tell
    bool software;                  // a CPU driver
    bool fp16;                      // 16-bit float arithmetic (shaderFloat16); fp16 storage works everywhere
    bool storage16, storage8;       // 16-bit and 8-bit values in buffers
    bool int8_dot;                  // dot products of packed 8-bit integers
    bool coop_matrix, coop_matrix2; // matrix units: VK_KHR_cooperative_matrix, VK_NV_cooperative_matrix2
    bool timestamps;                // times of layers and runs can be had
};
CDL_API void cdl_device_get_info(const cdl_device *dev, struct cdl_device_info *out); // as when it was created

// Lists every Vulkan device once (same UUID: once), best first; the index is what
// cdl_device_params.name takes. Writes up to `cap` entries, stores the full count in *num.
// No device is not an error: *num is 0 and the reason is logged.
CDL_API cdl_result cdl_device_list(struct cdl_device_info *out, int cap, int *num, const cdl_log *log);

// What small shaders that do nothing else reach, in 1e9 operations (a multiply-add is two) or bytes (read and written)
// a second. 0: the device cannot, or this build has no shader for it.
struct cdl_peaks {
    double fp32_gflops, fp16_gflops; // multiply-adds of shaders
    double matrix_gflops;            // cooperative matrices, fp16 products with fp32 sums
    double int8_gops;                // dot products of packed int8
    double memory_gbytes;            // copies too large for caches
};
// About a second. Blocks; submits; allocates up to 1 GiB of device memory meanwhile. CDL_ERR_UNSUPPORTED: no
// timestamps.
CDL_API cdl_result cdl_device_measure_peaks(cdl_device *dev, struct cdl_peaks *out);

// ---- model: parsed, checked, immutable; no GPU. Thread-safety: Safe
// Safe on untrusted bytes. Sessions keep a reference, so a model may be
// destroyed as soon as its sessions exist.
typedef struct cdl_model cdl_model; // weights, and what they mean

struct cdl_pair {            // one entry of metadata
    const char *key, *value; // UTF-8
};

struct cdl_model_params {                     // of the functions that make a model
    size_t CDL_STRUCT_SIZE(cdl_model_params); // set by the macro
    cdl_log log;                              // of this call
    // What the weights' shapes cannot tell; each entry replaces the file's own metadata of that
    // key. Known keys: see cdl_model_save. An unknown key is kept and saved, but one that looks like a mistyped known
    // key ("Mean", "resize") is CDL_ERR_INVALID, as is a malformed value of a known one.
    const struct cdl_pair *metadata;
    int num_metadata; // entries
    // Under which names the file keeps its tensors, where they are unlike any that is known: a text of lines
    // FROM TO, as in "linear fc" or "block{s}.{b}.* layer{s}.{b}.*", TO being torchvision's name or - for
    // what is no part of the network. NULL: none. A malformed line is CDL_ERR_INVALID.
    const char *names;
    // The same for keys that the file's own metadata lack, such as what lies in a text beside the weights.
    const struct cdl_pair *defaults;
    int num_defaults;          // entries
    const char *defaults_from; // what messages call their origin, such as a file's name; NULL: "default metadata"
    const char *labels_from;   // the same of the labels in `metadata`; NULL: "parameters"
};
#ifndef __cplusplus
// Parameters written in the call: cdl_model_params(.metadata = &pair, .num_metadata = 1)
#define cdl_model_params(...) (&(struct cdl_model_params){.struct_size = sizeof(struct cdl_model_params), __VA_ARGS__})
#endif

// .safetensors, or .pth in either torch.save format; told apart by content, never by name.
// The file is memory-mapped and must not be changed while the model lives.
CDL_API cdl_result cdl_model_load_file(cdl_model **out, const char *path, const struct cdl_model_params *params);
// Wraps `data`, no copy. On success the model owns it and calls free_fn(ctx, data)
// once, on any thread; free_fn NULL: `data` must outlive the model and its
// sessions. On failure the caller still owns `data`.
CDL_API cdl_result cdl_model_load_memory(cdl_model **out, const void *data, size_t size,
                                         void (*free_fn)(void *ctx, const void *data), void *ctx,
                                         const struct cdl_model_params *params);
// Seeded random weights in a torchvision architecture ("resnext50_32x4d", "resnet18", ...).
// He-normal convolutions and batch-norm statistics near those of a trained network, so that
// activations stay in range. Same seed, same weights on every machine.
CDL_API cdl_result cdl_model_random(cdl_model **out, const char *arch, uint64_t seed,
                                    const struct cdl_model_params *params);
CDL_API void cdl_model_destroy(cdl_model **model); // sessions made from it stay whole

// The keys of metadata that have a meaning, see cdl_model_save; NULL when i is out of range.
CDL_API const char *cdl_model_metadata_key(int i);
// The known key that `name` may be a misspelling of, or that another program calls so; NULL: none is near.
CDL_API const char *cdl_model_nearest_key(const char *name);

// The names cdl_model_random takes; NULL when i is out of range.
CDL_API const char *cdl_model_arch_name(int i);

// How a file stores numbers.
typedef enum cdl_dtype {
    CDL_DTYPE_F32,  // IEEE binary32
    CDL_DTYPE_F16,  // IEEE binary16
    CDL_DTYPE_BF16, // bfloat16
} cdl_dtype;

// Writes .safetensors: floating-point tensors as `dtype` in torchvision's names, and __metadata__:
//   architecture  "resnext50_32x4d"         input_size   "224" or "HEIGHTxWIDTH", the crop
//   resize_size   "256", the short side     mean, std    "0.485,0.456,0.406", of pixels in 0...1
//   labels        JSON array of strings     interpolation "bilinear" | "bicubic"
//   stem_stride   "1" | "2"                 stem_pool    "true" | "false" (3x3 max-pool, stride 2)
//   stage_strides "1,2,2,2"                 shortcut     "a" | "a-end", of shortcuts without weights
// The file appears whole or not at all (written beside, then renamed); a link stays and its target is replaced; a
// folder, device or pipe is refused. On Windows it cannot replace the file of a living model.
// Where the file system has files without a name (Linux: O_TMPFILE) nothing stays if the process is killed. Elsewhere
// PATH.tmpN stays, N the least number whose file did not exist: what an application's signal handler may remove.
CDL_API cdl_result cdl_model_save(const cdl_model *model, const char *path, cdl_dtype dtype, const cdl_log *log);

// How pictures are resized: as Pillow does, with antialiasing.
typedef enum cdl_interpolation {
    CDL_INTERPOLATION_BILINEAR, // torchvision's networks
    CDL_INTERPOLATION_BICUBIC,  // most of timm's
} cdl_interpolation;

struct cdl_model_info {    // what is known of a model
    char architecture[64]; // metadata, or inferred: "resnext50_32x4d"; "resnext [2,2,2] 16x4d" for others
    int num_classes;       // outputs
    int num_labels;        // 0: unlabelled
    int input_width, input_height, resize_size; // pixels; resize_size is the short side before the crop
    cdl_interpolation interpolation;            // of that resizing
    float mean[3], std[3];                      // of red, green and blue, pixels being 0...1
    uint64_t num_parameters;                    // as PyTorch counts: weights and biases, no running statistics
};
CDL_API void cdl_model_get_info(const cdl_model *model, struct cdl_model_info *out); // cheap
CDL_API const char *cdl_model_class_name(const cdl_model *model, int id);            // NULL: unnamed or out of range

// ---- session: one model at one shape. Thread-safety: one thread at a time
typedef struct cdl_session cdl_session; // a model ready to run on a device: plan, pipelines, memory
// How weights and activations are stored in device memory.
typedef enum cdl_precision {
    CDL_PRECISION_AUTO, // fp16 on GPUs that have it, else fp32
    CDL_PRECISION_FP32, // 32 bits
    CDL_PRECISION_FP16, // 16 bits; sums have 32
} cdl_precision;

// How kernels are chosen. Whatever the mode, a kernel is used only after it passed a self-test on the device. The
// verdicts, and what tuning found, are kept while the device lives, and in its cache_dir.
typedef enum cdl_tune {
    CDL_TUNE_OFF,   // what was found earlier for this shape and batch, else good guesses by device class
    CDL_TUNE_QUICK, // times the likely ones where nothing was found earlier; seconds on a GPU
    CDL_TUNE_FULL,  // times all, unless that was done earlier
} cdl_tune;

struct cdl_session_params {                     // of cdl_session_create
    size_t CDL_STRUCT_SIZE(cdl_session_params); // set by the macro
    int max_batch;                              // images in one run; 0: 1
    int width, height;                          // network input; 0: the model's own. The resize size scales along.
    cdl_precision precision;                    // storage; sums are always fp32. AUTO: fp16 where the device has it
    int num_slots;                              // runs in flight at once; 0: 1
    // Pixels under way to the device, per slot. A larger picture goes through in bands, of one row of the network's
    // input at least. 0: 32 MiB; on an imported device 4 MiB, or what the tables of max_batch images of the host's
    // take.
    size_t staging_bytes;
    bool no_fold;  // keep batch norm as layers of their own
    bool timings;  // timestamp every layer
    cdl_tune tune; // tuning lengthens the creation, by seconds on a GPU
    bool cam;      // every run also reads the last feature map back, for cdl_session_cam
    bool vulkan;   // cdl_vk_record and cdl_vk_submit will be called; always so on an imported device
};
#ifndef __cplusplus
// Parameters written in the call: cdl_session_params(.max_batch = 8)
#define cdl_session_params(...) \
    (&(struct cdl_session_params){.struct_size = sizeof(struct cdl_session_params), __VA_ARGS__})
#endif

// Builds pipelines, uploads weights (shared per device, model, precision), plans
// and allocates all memory: no later call allocates. Blocks; submits.
CDL_API cdl_result cdl_session_create(cdl_session **out, cdl_device *dev, cdl_model *model,
                                      const struct cdl_session_params *params);
// Waits for its runs, recorded ones (cdl_vk_record) too. In a session for a host's runs no longer than CDL_VK_PATIENCE:
// when the queue does not get on, that is an error in the log, and the session's memory stays until cdl_device_destroy.
CDL_API void cdl_session_destroy(cdl_session **s);

// How pixels lie in memory.
typedef enum cdl_format {
    CDL_FORMAT_RGBA8,      // sRGB, a byte each; alpha is ignored
    CDL_FORMAT_BGRA8,      // the same, blue first
    CDL_FORMAT_RGB8,       // the same, without alpha
    CDL_FORMAT_GRAY8,      // a byte, sRGB's grey
    CDL_FORMAT_TENSOR_F32, // [3][height][width], resized and normalised already
    // Video: `height` rows of Y, then (height + 1) / 2 rows of Cb, Cr pairs, all of `stride` bytes. BT.709, limited
    // range; each chroma sample stands for its 2x2 pixels.
    CDL_FORMAT_NV12,
} cdl_format;

struct cdl_pixels {    // one image for a run
    const void *data;  // the first row
    int width, height; // as stored, before `orientation`
    size_t stride;     // bytes per row; 0: tight
    cdl_format format; // of `data`
    int orientation;   // EXIF 1..8; 0 is 1, upright. Ignored for tensors.
};

// Resize, crop and normalise on the GPU by the model's recipe, then classify
// `count` <= max_batch images. `images` may be reused on return.
CDL_API cdl_result cdl_session_run(cdl_session *s, const struct cdl_pixels *images, int count); // slot 0; blocks
// As cdl_session_run, in any idle slot, and without waiting: cdl_session_wait takes the results.
CDL_API cdl_result cdl_session_submit(cdl_session *s, int slot, const struct cdl_pixels *images, int count);
CDL_API cdl_result cdl_session_wait(cdl_session *s, int slot, uint64_t timeout_ns); // 0: poll

// Results of the slot's last finished run, until the slot is used again.
struct cdl_class {
    int id;      // 0 .. num_classes - 1
    float prob;  // softmax of the logits
    float logit; // what the network gave
};
// The k best: logit descending, then id. k above the class count is CDL_ERR_INVALID.
CDL_API cdl_result cdl_session_topk(const cdl_session *s, int slot, int image, struct cdl_class *out, int k);
CDL_API const float *cdl_session_logits(const cdl_session *s, int slot, int image); // [num_classes]; NULL: none

// What the classifier saw: the average-pooled features, float[num_features], for similarity search or for a classifier
// that you train on them. NULL: no such run.
CDL_API const float *cdl_session_features(const cdl_session *s, int slot, int image);
// Class activation map (Zhou et al. 2016, "Learning deep features for discriminative localization"): what each place of
// the network's input adds to the logit of a class. out: float[cam_height][cam_width] of cdl_session_info, rows from
// the top; their mean plus the class's bias is its logit. The session was created with `cam`. Computed on the calling
// thread, num_features * cam_height * cam_width multiply-adds; neither submits nor allocates.
CDL_API cdl_result cdl_session_cam(const cdl_session *s, int slot, int image, int class_id, float *out);
// The part of the upright picture that the network saw, in the picture's pixels. It may reach beyond the borders, where
// the network saw black. Neither submits nor allocates. CDL_ERR_INVALID: sides outside 1..65535.
struct cdl_region {
    float x, y;          // its left upper corner
    float width, height; // its size
};
// See cdl_region.
CDL_API cdl_result cdl_session_seen(const cdl_session *s, int picture_width, int picture_height,
                                    struct cdl_region *out);

// One layer of the slot's last run. Texts live as long as the session. `bytes` is the least that the layer moves:
// what it reads, its weights and what it writes, once each.
struct cdl_timing {
    const char *layer;     // PyTorch's module path: "layer1.0.conv2"
    const char *operation; // "conv3x3 g32", "max_pool"
    const char *kernel;    // shader, its constants, storage: "conv_direct 64,3,3,1,1,1,4,1,0 fp32"
    uint64_t gpu_ns;       // time on the device
    uint64_t flops;        // operations; a multiply-add is two
    uint64_t bytes;        // see above
};
// The session was created with `timings`, which also keeps layers from overlapping. *num is 0 where the device
// has no timestamps.
// Writes up to `cap` entries, stores the full count in *num.
CDL_API cdl_result cdl_session_timings(const cdl_session *s, int slot, struct cdl_timing *out, int cap, int *num);
// From the device's first to its last operation of the slot's last run, in ns; 0: no timestamps.
CDL_API uint64_t cdl_session_gpu_ns(const cdl_session *s, int slot);
// The part of cdl_session_gpu_ns that resized and normalised the pictures; 0: no timestamps.
CDL_API uint64_t cdl_session_preprocess_ns(const cdl_session *s, int slot);

struct cdl_session_info {                    // what a session is and holds
    int max_batch, width, height, num_slots; // as cdl_session_params, defaults filled in
    cdl_precision precision;                 // FP32 or FP16
    // Memory held. staging_bytes is of one slot; device memory where the host can write that. Activations include
    // results; `live_bytes` is the least that any placement of the activations could take.
    uint64_t weight_bytes, activation_bytes, staging_bytes, live_bytes;
    int num_classes, num_features; // numbers of an image's results, and before the last layer
    int cam_width, cam_height;     // of a class activation map
    int max_slices;                // the most parts into which cdl_vk_record can cut a run
    // Pipelines that its creation made (those of earlier sessions on the device are shared), and how many of these
    // the driver had to compile because its cache did not have them; -1: the driver does not tell.
    int pipelines, pipelines_compiled;
};
CDL_API void cdl_session_get_info(const cdl_session *s, struct cdl_session_info *out); // cheap

#ifdef __cplusplus
}
#endif
#endif // CDL_H_
