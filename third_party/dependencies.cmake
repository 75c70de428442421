# dependencies.cmake - how each dependency is found: the system's package first and only. apps/run.sh
# installs what is missing on Debian and Ubuntu.
#
#   Vulkan headers  libvulkan-dev          required; the loader itself is opened at run time
#   glslang         glslang-tools          required, at build time
#   jansson         libjansson-dev         required; JSON of safetensors headers and of --format json
#   libjpeg-turbo   libjpeg62-turbo-dev    optional; else stb_image decodes JPEG
#   libexif         libexif-dev            optional; else orientation tags are not seen
#   libcurl         libcurl4-openssl-dev   optional; else pretrained weights are fetched by hand
#   stb_image       libstb-dev             required by the program
#   cmocka          libcmocka-dev          required by the tests

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_path(VULKAN_INCLUDE_DIR vulkan/vulkan_core.h HINTS $ENV{VULKAN_SDK}/include)
find_program(GLSLANG NAMES glslangValidator glslang HINTS $ENV{VULKAN_SDK}/bin)
foreach(needed VULKAN_INCLUDE_DIR GLSLANG)
  if(NOT ${needed})
    message(FATAL_ERROR "${needed} not found: install libvulkan-dev and glslang-tools, or set VULKAN_SDK")
  endif()
endforeach()

pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)

if(CARDINAL_APPS OR CARDINAL_TESTS)
  find_path(STB_INCLUDE_DIR stb/stb_image.h)
  if(NOT STB_INCLUDE_DIR)
    message(FATAL_ERROR "stb/stb_image.h not found: install libstb-dev")
  endif()
  pkg_check_modules(LIBJPEG IMPORTED_TARGET libjpeg)
  pkg_check_modules(LIBEXIF IMPORTED_TARGET libexif)
  pkg_check_modules(LIBCURL IMPORTED_TARGET libcurl)
  foreach(optional LIBJPEG LIBEXIF LIBCURL)
    if(NOT ${optional}_FOUND)
      message(STATUS "${optional} not found: building without it")
    endif()
  endforeach()
endif()

if(CARDINAL_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
