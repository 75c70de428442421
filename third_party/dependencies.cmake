# dependencies.cmake - how each dependency is found: the system's package first and only. apps/run.sh
# installs what is missing on Debian and Ubuntu.
#
#   Vulkan headers  libvulkan-dev          required; the loader itself is opened at run time
#   glslang         glslang-tools          required, at build time
#   jansson         libjansson-dev         required by the program; the library has a JSON reader of its own
#   libjpeg-turbo   libjpeg62-turbo-dev    optional; else stb_image decodes JPEG
#   libpng          libpng-dev             optional; else stb_image decodes PNG
#   libwebp         libwebp-dev            optional; else WebP is not read
#   libtiff 4.5     libtiff-dev            optional; else TIFF is not read
#   libheif         libheif-dev            optional; else HEIC and AVIF are not read
#   libexif         libexif-dev            optional; else a small reader of our own finds orientations
#   libcurl         libcurl4-openssl-dev   optional; else pretrained weights are fetched by hand
#   MPI             libopenmpi-dev         optional; else cardinal train knows one GPU alone
#   stb_image       libstb-dev             required by the program
#   volk            libvulkan-volk-dev     required by the demo and the example host, which are left out without it
#   cmocka          libcmocka-dev          required by the tests
#   SDL2            libsdl2-dev            required by the demo, which is left out where one of these is missing
#   SDL2_ttf        libsdl2-ttf-dev
#   FFmpeg          libavdevice-dev libavformat-dev libavcodec-dev libswscale-dev
#
# What is cached is named CARDINAL_..., so that a parent's build keeps its own names.

find_package(Threads REQUIRED)
find_path(CARDINAL_VULKAN_INCLUDE_DIR vulkan/vulkan_core.h HINTS $ENV{VULKAN_SDK}/include)
find_program(CARDINAL_GLSLANG NAMES glslangValidator glslang HINTS $ENV{VULKAN_SDK}/bin)
mark_as_advanced(CARDINAL_VULKAN_INCLUDE_DIR CARDINAL_GLSLANG)
foreach(needed VULKAN_INCLUDE_DIR GLSLANG)
  if(NOT CARDINAL_${needed})
    message(FATAL_ERROR "CARDINAL_${needed} not found: install libvulkan-dev and glslang-tools, or set VULKAN_SDK")
  endif()
  set(${needed} ${CARDINAL_${needed}})
endforeach()

# What the library needs of the system, as link flags, for the package files too
set(CARDINAL_SYSTEM_LIBRARIES "")
if(NOT WIN32) # whose own threads are used
  list(APPEND CARDINAL_SYSTEM_LIBRARIES ${CMAKE_THREAD_LIBS_INIT} ${CMAKE_DL_LIBS} m)
endif()

if(CARDINAL_APPS OR CARDINAL_TESTS)
  find_package(PkgConfig REQUIRED)
  find_path(CARDINAL_STB_INCLUDE_DIR stb/stb_image.h PATHS ${PROJECT_SOURCE_DIR}/headers) # there in a release's source archive
  mark_as_advanced(CARDINAL_STB_INCLUDE_DIR)
  if(NOT CARDINAL_STB_INCLUDE_DIR)
    message(FATAL_ERROR "stb/stb_image.h not found: install libstb-dev")
  endif()
  set(STB_INCLUDE_DIR ${CARDINAL_STB_INCLUDE_DIR})
  # volk is two files, volk.h and the volk.c that it includes; the Vulkan SDK has them in a folder.
  find_path(CARDINAL_VOLK_INCLUDE_DIR volk.h HINTS $ENV{VULKAN_SDK}/include PATH_SUFFIXES volk Volk)
  mark_as_advanced(CARDINAL_VOLK_INCLUDE_DIR)
  set(VOLK_INCLUDE_DIR ${CARDINAL_VOLK_INCLUDE_DIR})
  pkg_check_modules(JANSSON IMPORTED_TARGET jansson)
  if(NOT JANSSON_FOUND)
    message(FATAL_ERROR "jansson not found: install libjansson-dev")
  endif()
  pkg_check_modules(LIBJPEG IMPORTED_TARGET libjpeg)
  pkg_check_modules(LIBPNG IMPORTED_TARGET libpng)
  pkg_check_modules(LIBWEBP IMPORTED_TARGET libwebp libwebpdemux)
  pkg_check_modules(LIBTIFF IMPORTED_TARGET libtiff-4>=4.5) # error handlers and memory limits of an opened file's own
  option(CARDINAL_HEIF "Read HEIC and AVIF by libheif, where it is found; see THIRD-PARTY-NOTICES on its licence" ON)
  if(CARDINAL_HEIF)
    pkg_check_modules(LIBHEIF IMPORTED_TARGET libheif)
  else()
    set(LIBHEIF_FOUND FALSE)
  endif()
  pkg_check_modules(LIBEXIF IMPORTED_TARGET libexif)
  pkg_check_modules(LIBCURL IMPORTED_TARGET libcurl)
  option(CARDINAL_MPI "Train on several GPUs through MPI, where it is found" ON)
  if(CARDINAL_MPI AND NOT WIN32)
    find_package(MPI COMPONENTS C QUIET)
    if(NOT MPI_C_FOUND)
      message(STATUS "MPI not found: building without it")
    endif()
  endif()
  foreach(optional LIBJPEG LIBPNG LIBWEBP LIBTIFF LIBHEIF LIBEXIF LIBCURL)
    if(NOT ${optional}_FOUND)
      message(STATUS "${optional} not found: building without it")
    endif()
  endforeach()
endif()

set(CARDINAL_DEMO_FOUND FALSE)
if(CARDINAL_APPS AND CARDINAL_DEMO)
  pkg_check_modules(SDL2 IMPORTED_TARGET sdl2>=2.0.18)
  pkg_check_modules(SDL2_TTF IMPORTED_TARGET SDL2_ttf>=2.0.18)
  pkg_check_modules(FFMPEG IMPORTED_TARGET libavdevice>=58 libavformat>=58 libavcodec>=58 libswscale>=5 libavutil>=56)
  if(SDL2_FOUND AND SDL2_TTF_FOUND AND FFMPEG_FOUND AND VOLK_INCLUDE_DIR)
    set(CARDINAL_DEMO_FOUND TRUE)
  elseif(CARDINAL_DEMO STREQUAL AUTO)
    message(STATUS "SDL2, SDL2_ttf, FFmpeg or volk not found: building without the demo")
  else()
    message(FATAL_ERROR "CARDINAL_DEMO: SDL2, SDL2_ttf, FFmpeg or volk not found: install libsdl2-dev libsdl2-ttf-dev "
                        "libavdevice-dev libavformat-dev libavcodec-dev libswscale-dev libvulkan-volk-dev")
  endif()
endif()

if(CARDINAL_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
