// cardinal.hpp - cdl.h for C++17: objects that free themselves, views of results, failures as exceptions. Header-only.
//
// What cdl.h says of a function holds for the method that calls it: units, threads, what blocks. Structures are that
// header's own: `cdl_session_params params{}; params.max_batch = 8;`.
//
// A failure throws cardinal::error with the library's message. With CARDINAL_NO_EXCEPTIONS, which -fno-exceptions sets,
// nothing is thrown: what may fail returns an outcome, either a value or a code with a message.
//   auto device = cardinal::device::create();    // throws, or:
//   if (!device) std::puts(device.message());    // then *device is the device
#ifndef CDL_CARDINAL_HPP_
#define CDL_CARDINAL_HPP_

#include "cdl.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#if !defined(CARDINAL_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define CARDINAL_NO_EXCEPTIONS // the compiler was told not to have any
#endif
#if defined(CARDINAL_NO_EXCEPTIONS)
#include <optional>
#else
#include <stdexcept>
#endif

// The library in C++.
namespace cardinal {
// Files of both kinds may be linked into one program: their classes have different names there.
#if defined(CARDINAL_NO_EXCEPTIONS)
inline namespace returning {
#else
inline namespace throwing {
#endif

// ---- what a call gives

// A reason as the library told it, one line.
class reason {
  public:
    // `text` is cut to what fits.
    explicit reason(const char *text = "") noexcept { std::snprintf(text_, sizeof text_, "%s", text); }
    // Never null.
    const char *c_str() const noexcept { return text_; }

  private:
    char text_[512];
};

#if defined(CARDINAL_NO_EXCEPTIONS)
// A value, or why there is none.
template <typename T> class [[nodiscard]] outcome {
  public:
    // Holds `value`.
    outcome(T value) : value_(std::move(value)) {}
    // Holds a failure; `code` is below 0.
    outcome(cdl_result code, const reason &why) : code_(code), why_(why) {}
    // Whether there is a value.
    explicit operator bool() const noexcept { return value_.has_value(); }
    // CDL_OK, or what kind of failure.
    cdl_result code() const noexcept { return code_; }
    // The reason; empty where there is a value.
    const char *message() const noexcept { return why_.c_str(); }
    // The value, which must be there.
    T &operator*() noexcept { return *value_; }
    // The same.
    T *operator->() noexcept { return &*value_; }

  private:
    std::optional<T> value_;
    cdl_result code_ = CDL_OK;
    reason why_;
};
// Success, or why not.
template <> class [[nodiscard]] outcome<void> {
  public:
    // Success.
    outcome() = default;
    // A failure; `code` is below 0.
    outcome(cdl_result code, const reason &why) : code_(code), why_(why) {}
    // Whether it is success.
    explicit operator bool() const noexcept { return code_ >= 0; }
    // CDL_OK, or what kind of failure.
    cdl_result code() const noexcept { return code_; }
    // The reason; empty for success.
    const char *message() const noexcept { return why_.c_str(); }

  private:
    cdl_result code_ = CDL_OK;
    reason why_;
};
#else
// Why a call failed; what() is one line.
class error : public std::runtime_error {
  public:
    // `code` is below 0.
    error(cdl_result code, const reason &why) : std::runtime_error(why.c_str()), code_(code) {}
    // What kind of failure.
    cdl_result code() const noexcept { return code_; }

  private:
    cdl_result code_;
};
// With exceptions, the value alone.
template <typename T> using outcome = T;
#endif

// Some T in a row that something else owns, as C++20's std::span.
template <typename T> class view {
  public:
    // None.
    view() = default;
    // `size` of them, which must outlive the view.
    view(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    // All of a vector, an array or another container with data() and size(), which must outlive the view.
    template <typename C, typename = decltype(std::declval<C &>().data())>
    view(C &container) noexcept : data_(container.data()), size_(container.size()) {}
    // The first; null where there is none.
    T *data() const noexcept { return data_; }
    // How many.
    std::size_t size() const noexcept { return size_; }
    // Whether there is none.
    bool empty() const noexcept { return size_ == 0; }
    // The first.
    T *begin() const noexcept { return data_; }
    // Behind the last.
    T *end() const noexcept { return data_ + size_; }
    // That of place i, which is below size().
    T &operator[](std::size_t i) const noexcept { return data_[i]; }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

// What the classes below share; no interface.
namespace detail {

// Where the library's messages go: to the caller's own log, and errors to the call that fails. They come on the thread
// of that call, or on one that compiles for it.
class messages {
  public:
    // `caller`: the log of the caller's parameters.
    explicit messages(const cdl_log &caller) noexcept : caller_(caller) {}
    messages(const messages &) = delete;
    messages &operator=(const messages &) = delete;
    // For the library; leads here.
    cdl_log log() noexcept {
        return {receive, this, caller_.fn && caller_.level > CDL_LOG_ERR ? caller_.level : CDL_LOG_ERR};
    }
    // The last error, once.
    reason take(cdl_result code) noexcept {
        reason why = std::exchange(mine(), reason());
        const std::lock_guard<std::mutex> guard(mutex_);
        const reason other = std::exchange(others_, reason());
        return *why.c_str() ? why : *other.c_str() ? other : reason(cdl_result_str(code));
    }

  private:
    static reason &mine() noexcept {
        thread_local reason last;
        return last;
    }
    static void receive(void *context, cdl_log_level level, const char *message) noexcept {
        messages *self = static_cast<messages *>(context);
        if (level == CDL_LOG_ERR) {
            mine() = reason(message);
            const std::lock_guard<std::mutex> guard(self->mutex_);
            self->others_ = reason(message);
        }
        if (self->caller_.fn && level <= self->caller_.level)
            self->caller_.fn(self->caller_.ctx, level, message);
    }
    const cdl_log caller_;
    std::mutex mutex_;
    reason others_;
};

// `make()` where `code` is no error.
template <typename Make> auto finish(messages &from, cdl_result code, Make make) -> outcome<decltype(make())> {
    if (code < 0)
#if defined(CARDINAL_NO_EXCEPTIONS)
        return {code, from.take(code)};
#else
        throw error(code, from.take(code));
#endif
    return make();
}
// The same without a value.
inline outcome<void> finish(messages &from, cdl_result code) {
    if (code < 0)
#if defined(CARDINAL_NO_EXCEPTIONS)
        return {code, from.take(code)};
#else
        throw error(code, from.take(code));
#endif
    return outcome<void>();
}

// A cdl_device and where its messages go, which is as long as it and its sessions live.
struct open_device {
    // `caller`: the log of the caller's parameters.
    explicit open_device(const cdl_log &caller) noexcept : from(caller) {}
    open_device(const open_device &) = delete;
    open_device &operator=(const open_device &) = delete;
    ~open_device() { cdl_device_destroy(&it); }
    // Where its messages go.
    messages from;
    // Null until it is open.
    cdl_device *it = nullptr;
};

} // namespace detail

// ---- device

// A Vulkan device. Copies mean the same one; it is closed with the last copy and the last session on it.
class device {
  public:
    // Opens one; without parameters the best. `params.log` gets all messages down to its level; it must not throw.
    static outcome<device> create(cdl_device_params params = {}) {
        return make(params.log, [&](cdl_device **out, const cdl_log &log) {
            params.log = log;
            return cdl_device_create(out, &params);
        });
    }
    // One that another function opens, such as cdl_vk_import: open(cdl_device **out, const cdl_log &log), which puts
    // `log` into its parameters, returns a cdl_result. `caller` gets the messages, too.
    template <typename Open> static outcome<device> make(const cdl_log &caller, Open open) {
        auto made = std::make_shared<detail::open_device>(caller);
        const cdl_result code = open(&made->it, made->from.log());
        return detail::finish(made->from, code, [&] { return device(made); });
    }
    // What is known of it.
    cdl_device_info info() const noexcept {
        cdl_device_info out{};
        cdl_device_get_info(get(), &out);
        return out;
    }
    // What small shaders reach; takes about a second.
    outcome<cdl_peaks> measure_peaks() const {
        cdl_peaks out{};
        const cdl_result code = cdl_device_measure_peaks(get(), &out);
        return detail::finish(opened_->from, code, [&] { return out; });
    }
    // For functions of cdl.h and cdl_vulkan.h; still owned here.
    cdl_device *get() const noexcept { return opened_->it; }

  private:
    friend class session;
    explicit device(std::shared_ptr<detail::open_device> opened) noexcept : opened_(std::move(opened)) {}
    std::shared_ptr<detail::open_device> opened_;
};

// Every Vulkan device, best first; what cdl_device_params.name takes as an index is the place in it.
inline outcome<std::vector<cdl_device_info>> list_devices() {
    detail::messages from(cdl_log{});
    const cdl_log log = from.log();
    std::vector<cdl_device_info> out;
    int count = 0;
    cdl_result code = cdl_device_list(nullptr, 0, &count, &log);
    if (code == CDL_OK && count > 0) {
        out.resize(static_cast<std::size_t>(count));
        code = cdl_device_list(out.data(), count, &count, &log);
        if (static_cast<std::size_t>(count) < out.size()) // one went meanwhile
            out.resize(static_cast<std::size_t>(count));
    }
    return detail::finish(from, code, [&] { return std::move(out); });
}

// ---- model

// Weights, and what they mean. Copies mean the same one; it is freed with the last.
class model {
  public:
    // From a .safetensors or .pth file, which must not be changed while the model lives.
    static outcome<model> load(const char *path, cdl_model_params params = {}) {
        return make(params, [&](cdl_model **out) { return cdl_model_load_file(out, path, &params); });
    }
    // From a file's bytes, which are not copied and must outlive the model and its sessions.
    static outcome<model> from_memory(view<const unsigned char> bytes, cdl_model_params params = {}) {
        return make(params, [&](cdl_model **out) {
            return cdl_model_load_memory(out, bytes.data(), bytes.size(), nullptr, nullptr, &params);
        });
    }
    // Seeded random weights in one of torchvision's architectures.
    static outcome<model> random(const char *architecture, std::uint64_t seed, cdl_model_params params = {}) {
        return make(params, [&](cdl_model **out) { return cdl_model_random(out, architecture, seed, &params); });
    }
    // Its shape and recipe.
    cdl_model_info info() const noexcept {
        cdl_model_info out{};
        cdl_model_get_info(get(), &out);
        return out;
    }
    // The name of a class, as long as the model lives; null: unnamed or out of range.
    const char *class_name(int id) const noexcept { return cdl_model_class_name(get(), id); }
    // Writes .safetensors with all metadata; the file appears whole or not at all.
    outcome<void> save(const char *path, cdl_dtype dtype = CDL_DTYPE_F32) const {
        detail::messages from(cdl_log{});
        const cdl_log log = from.log();
        return detail::finish(from, cdl_model_save(get(), path, dtype, &log));
    }
    // For functions of cdl.h; still owned here.
    cdl_model *get() const noexcept { return it_.get(); }

  private:
    explicit model(cdl_model *it) : it_(it, [](cdl_model *m) { cdl_model_destroy(&m); }) {}
    // The log of a model's parameters is of that call alone.
    template <typename Create> static outcome<model> make(cdl_model_params &params, Create create) {
        detail::messages from(params.log);
        params.log = from.log();
        cdl_model *it = nullptr;
        const cdl_result code = create(&it);
        return detail::finish(from, code, [&] { return model(it); });
    }
    std::shared_ptr<cdl_model> it_;
};

// ---- pictures

// Pixels in the caller's memory, 8 bits a channel; `stride`: bytes a row, 0 where rows follow each other.
inline cdl_pixels pixels(const void *data, int width, int height, cdl_format format = CDL_FORMAT_RGB8,
                         std::size_t stride = 0) noexcept {
    return {data, width, height, stride, format, 1};
}

// ---- session

// A model ready to run on a device. Can be moved, not copied; keeps its device and what it needs of its model.
class session {
  public:
    // Allocates all that its runs need; takes long.
    static outcome<session> create(const device &on, const model &of, const cdl_session_params &params = {}) {
        cdl_session *it = nullptr;
        const cdl_result code = cdl_session_create(&it, on.get(), of.get(), &params);
        return detail::finish(on.opened_->from, code, [&] { return session(it, on.opened_); });
    }
    // Classifies pictures, up to max_batch, in slot 0; blocks.
    outcome<void> run(view<const cdl_pixels> images) {
        return check(cdl_session_run(get(), images.data(), static_cast<int>(images.size())));
    }
    // Classifies one picture in slot 0; blocks.
    outcome<void> run(const cdl_pixels &image) { return run(view<const cdl_pixels>(&image, 1)); }
    // As run, in any idle slot, and without waiting.
    outcome<void> submit(int slot, view<const cdl_pixels> images) {
        return check(cdl_session_submit(get(), slot, images.data(), static_cast<int>(images.size())));
    }
    // Takes the results of a submitted run; false: the timeout passed first. 0 polls.
    outcome<bool> wait(int slot = 0, std::uint64_t timeout_ns = UINT64_MAX) {
        const cdl_result code = cdl_session_wait(get(), slot, timeout_ns);
        return detail::finish(messages(), code, [code] { return code == CDL_OK; });
    }
    // The k best classes of an image of the slot's last run, best first.
    outcome<std::vector<cdl_class>> top(int k = 5, int image = 0, int slot = 0) const {
        std::vector<cdl_class> out(static_cast<std::size_t>(k > 0 ? k : 0));
        const cdl_result code = cdl_session_topk(get(), slot, image, out.data(), k);
        return detail::finish(messages(), code, [&] { return std::move(out); });
    }
    // [num_classes], valid until the slot is used again; empty: there is no such result.
    view<const float> logits(int image = 0, int slot = 0) const noexcept {
        return floats(cdl_session_logits(get(), slot, image), info().num_classes);
    }
    // [num_features], valid until the slot is used again; empty: there is no such result.
    view<const float> features(int image = 0, int slot = 0) const noexcept {
        return floats(cdl_session_features(get(), slot, image), info().num_features);
    }
    // A class activation map, [cam_height][cam_width] of info(); the session was created with `cam`.
    outcome<std::vector<float>> cam(int class_id, int image = 0, int slot = 0) const {
        const cdl_session_info i = info();
        std::vector<float> out(static_cast<std::size_t>(i.cam_width) * static_cast<std::size_t>(i.cam_height));
        const cdl_result code = cdl_session_cam(get(), slot, image, class_id, out.data());
        return detail::finish(messages(), code, [&] { return std::move(out); });
    }
    // The part of an upright picture of this size that the network sees.
    outcome<cdl_region> seen(int width, int height) const {
        cdl_region out{};
        const cdl_result code = cdl_session_seen(get(), width, height, &out);
        return detail::finish(messages(), code, [&] { return out; });
    }
    // What it is and holds.
    cdl_session_info info() const noexcept {
        cdl_session_info out{};
        cdl_session_get_info(get(), &out);
        return out;
    }
    // What a function of cdl.h or cdl_vulkan.h returned that was called with get(): a failure as all others here.
    outcome<void> check(cdl_result code) const { return detail::finish(messages(), code); }
    // For functions of cdl.h and cdl_vulkan.h; still owned here.
    cdl_session *get() const noexcept { return it_.get(); }

  private:
    struct destroy { // the session first, then its device
        std::shared_ptr<detail::open_device> on;
        void operator()(cdl_session *s) const noexcept { cdl_session_destroy(&s); }
    };
    session(cdl_session *it, const std::shared_ptr<detail::open_device> &on) : it_(it, destroy{on}) {}
    detail::messages &messages() const noexcept { return it_.get_deleter().on->from; }
    static view<const float> floats(const float *data, int size) noexcept {
        return data ? view<const float>(data, static_cast<std::size_t>(size)) : view<const float>();
    }
    std::unique_ptr<cdl_session, destroy> it_;
};

} // namespace returning or throwing
} // namespace cardinal
#endif // CDL_CARDINAL_HPP_
