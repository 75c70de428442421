// classify.cpp - names what pictures show: classify MODEL PICTURE...
#include <cdl/cardinal.hpp>

#include <cstdio>
#include <exception>
#include <memory>

#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

int main(int argc, char **argv) try {
    if (argc < 3) {
        std::fprintf(stderr, "usage: classify MODEL PICTURE...\n");
        return 2;
    }
    const auto device = cardinal::device::create(); // the best
    const auto model = cardinal::model::load(argv[1]);
    auto session = cardinal::session::create(device, model);
    int status = 0;
    for (int i = 2; i < argc; i++) {
        int width, height;
        const std::unique_ptr<stbi_uc, void (*)(void *)> rgb(stbi_load(argv[i], &width, &height, nullptr, 3),
                                                             stbi_image_free);
        if (!rgb) {
            std::fprintf(stderr, "%s: %s\n", argv[i], stbi_failure_reason());
            status = 1;
            continue;
        }
        session.run(cardinal::pixels(rgb.get(), width, height));
        if (argc > 3)
            std::printf("%s\n", argv[i]);
        for (const cdl_class &answer : session.top(5)) {
            const char *name = model.class_name(answer.id); // null: the model has no labels
            std::printf("%5.1f %%  %s\n", 100 * static_cast<double>(answer.prob), name ? name : "(unlabelled)");
        }
    }
    return status;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
