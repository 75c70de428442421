// test_cpp.cpp - cardinal.hpp on a device, in one of its kinds: it is compiled twice, with exceptions and without, and
// both are linked into one program by test_cpp_main.cpp, which shows that they get on.
#include <cdl/cardinal.hpp>

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>

#if defined(CARDINAL_NO_EXCEPTIONS)
#define ENTRY test_returning
#else
#define ENTRY test_throwing
#endif
int ENTRY(const char *path);

namespace {

int failures;

void expect(bool condition, const char *what) {
    if (condition)
        return;
    failures++;
    std::printf("FAILED: %s\n", what);
}

// The value, which is expected.
template <typename T> T must(cardinal::outcome<T> given) {
#if defined(CARDINAL_NO_EXCEPTIONS)
    if (!given) {
        std::printf("FAILED: %s\n", given.message());
        std::exit(1);
    }
    return std::move(*given);
#else
    return given;
#endif
}

// That `call()` fails with this code and a message with this word.
template <typename Call> void fails(cdl_result code, const char *word, Call call) {
#if defined(CARDINAL_NO_EXCEPTIONS)
    const auto given = call();
    expect(!given && given.code() == code && std::strstr(given.message(), word), word);
#else
    try {
        (void)call();
        expect(false, word);
    } catch (const cardinal::error &error) {
        expect(error.code() == code && std::strstr(error.what(), word), error.what());
    }
#endif
}

// That a call without a value succeeds.
#if defined(CARDINAL_NO_EXCEPTIONS)
#define DO(call) expect(static_cast<bool>(call), #call)
#else
#define DO(call) (call)
#endif

struct heard { // a log of the caller's own
    int errors = 0, others = 0;
    static void receive(void *ctx, cdl_log_level level, const char *msg) {
        auto *self = static_cast<heard *>(ctx);
        if (level == CDL_LOG_ERR)
            self->errors++;
        else if (!std::strstr(msg, "conformant"))
            self->others++;
    }
};

void test_models(const char *path) {
    const cdl_pair labels{"labels", R"(["a", "b", "c", "cat", "e", "f", "g", "h", "i", "j"])"};
    cdl_model_params named{};
    named.metadata = &labels, named.num_metadata = 1;
    const cardinal::model model = must(cardinal::model::load(path, named));
    expect(model.info().num_classes == 10 && !std::strcmp(model.class_name(3), "cat") && !model.class_name(10),
           "classes");
    fails(CDL_ERR_IO, "no such file", [] { return cardinal::model::load("no such file"); });
    const std::vector<unsigned char> nothing(100);
    fails(CDL_ERR_FORMAT, "", [&] { return cardinal::model::from_memory(nothing); });
    heard ears;
    const cdl_pair pair{"Mean", "0.5"};
    cdl_model_params params{};
    params.metadata = &pair, params.num_metadata = 1;
    params.log = {heard::receive, &ears, CDL_LOG_WARN};
    fails(CDL_ERR_INVALID, "Mean", [&] { return cardinal::model::random("resnet18", 1, params); });
    expect(ears.errors == 1, "the caller's own log hears it too");
}

cardinal::session make_session(const char *path, heard &ears) {
    cdl_device_params params{};
    const char *validation = std::getenv("CARDINAL_TEST_VALIDATION");
    params.validate = !validation || std::strcmp(validation, "off") != 0;
    params.log = {heard::receive, &ears, CDL_LOG_WARN};
    const cardinal::device device = must(cardinal::device::create(params));
    bool listed = false;
    for (const cdl_device_info &info : must(cardinal::list_devices()))
        listed = listed || !std::strcmp(info.uuid, device.info().uuid);
    expect(listed, "the device is in the list");
    cdl_session_params wanted{};
    wanted.max_batch = 2, wanted.num_slots = 2, wanted.cam = true;
    return must(cardinal::session::create(device, must(cardinal::model::load(path)), wanted)); // keeps both
}

void test_runs(cardinal::session &session) {
    std::array<unsigned char, 40 * 30 * 3> noise;
    for (std::size_t i = 0; i < noise.size(); i++)
        noise[i] = static_cast<unsigned char>(i * 2654435761U >> 24);
    const cdl_pixels picture = cardinal::pixels(noise.data(), 40, 30);
    DO(session.run(picture));
    const std::vector<cdl_class> best = must(session.top(10));
    const cardinal::view<const float> logits = session.logits();
    expect(logits.size() == 10 && session.features().size() == static_cast<std::size_t>(session.info().num_features),
           "sizes of the results");
    double sum = 0;
    for (const float &logit : logits)
        sum += std::exp(static_cast<double>(logit) - static_cast<double>(best[0].logit));
    expect(std::fabs(static_cast<double>(best[0].prob) - 1 / sum) < 1e-5, "the probability is the softmax");
    for (std::size_t i = 0; i < best.size(); i++)
        expect(best[i].logit == logits[static_cast<std::size_t>(best[i].id)] &&
                   (i == 0 || best[i - 1].logit >= best[i].logit),
               "classes in the order of their logits");
    expect(must(session.cam(3)).size() ==
               static_cast<std::size_t>(session.info().cam_width) * static_cast<std::size_t>(session.info().cam_height),
           "a map");
    const float first = logits[0];
    std::array<cdl_pixels, 2> both{picture, picture};
    DO(session.submit(1, both));
    while (!must(session.wait(1, 0))) {}
    expect(std::fabs(session.logits(1, 1)[0] - first) < 1e-3F, "the same picture in another slot");
    expect(must(session.seen(100, 50)).height == 50, "what the network sees");

    const std::array<cdl_pixels, 3> many{picture, picture, picture};
    fails(CDL_ERR_INVALID, "count", [&] { return session.run(many); });
    fails(CDL_ERR_INVALID, "slot", [&] { return session.top(1, 0, 7); });
    expect(session.logits(0, 7).empty(), "no such slot");
    fails(CDL_ERR_INVALID, "class_id",
          [&] { return session.check(cdl_session_cam(session.get(), 0, 0, 99, std::array<float, 64>().data())); });
}

} // namespace

int ENTRY(const char *path) {
    heard ears;
    test_models(path);
    {
        cardinal::session session = make_session(path, ears);
        cardinal::session moved = std::move(session);
        test_runs(moved);
        session = make_session(path, ears);
        moved = std::move(session); // the old one goes before its device
        DO(moved.run(cardinal::pixels("\1\2\3", 1, 1)));
    }
    expect(ears.errors == 3, "three failures, and no message of the validation layer");
    expect(ears.others == 0, "no warning");
    return failures;
}
