// use.cpp - as use.c, in C++17: parameters without the macros.
#include <cdl/cdl.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int errors = 0;
    cdl_model_params params{};
    params.log.fn = [](void *ctx, cdl_log_level, const char *) { ++*static_cast<int *>(ctx); };
    params.log.ctx = &errors;
    params.log.level = CDL_LOG_ERR;
    cdl_model *model = nullptr;
    if (params.struct_size != sizeof params || params.metadata || cdl_model_load_file(&model, argv[2], &params) != CDL_ERR_IO || errors != 1)
        return 3;
    std::ifstream file(argv[1], std::ios::binary);
    const std::string data{std::istreambuf_iterator<char>(file), {}};
    const cdl_pair metadata{"architecture", "renamed"};
    params.metadata = &metadata;
    params.num_metadata = 1;
    if (cdl_model_load_memory(&model, data.data(), data.size(), nullptr, nullptr, &params) != CDL_OK)
        return 4;
    cdl_model_info info;
    cdl_model_get_info(model, &info);
    std::cout << cdl_version() << ' ' << info.architecture << ' ' << info.num_classes << ' ' << cdl_model_class_name(model, 27) << ' '
              << (cdl_version_number() == CDL_VERSION_NUMBER) << '\n';
    cdl_model_destroy(&model);
    return model != nullptr;
}
