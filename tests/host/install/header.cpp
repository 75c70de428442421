// header.cpp - every parameter structure, in strict C++17; compiled alone, not run.
#include <cdl/cdl_vulkan.h>

#include <type_traits>

template <typename Params> bool sets_its_size() {
    static_assert(std::is_standard_layout<Params>::value, "the same bytes as in C");
    const Params params{};
    return params.struct_size == sizeof params;
}

bool header();
bool header() {
    cdl_session_params session{};
    session.max_batch = 2;
    const cdl_vk_run run{};
    return sets_its_size<cdl_device_params>() && sets_its_size<cdl_model_params>() && sets_its_size<cdl_session_params>() &&
           sets_its_size<cdl_vk_import_params>() && sets_its_size<cdl_vk_run>() && session.width == 0 && !run.probs;
}
