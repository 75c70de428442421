# cpack.cmake - what `cpack` makes of a build: with -G DEB a package of each component, with -G TXZ or ZIP the whole in
# one archive. package.sh calls it.
#
# Components: library, development, programs, demo; python, where something is installed into it. An install rule that
# names none belongs to its folder's, by CMAKE_INSTALL_DEFAULT_COMPONENT_NAME. One that has no package here is an error.
set(CPACK_PACKAGE_NAME cardinal)
set(CPACK_PACKAGE_VENDOR "Cardinal contributors")
set(CARDINAL_MAINTAINER "Cardinal contributors <cardinal@example.org>" CACHE STRING "Who answers for the packages: name and address")
set(CPACK_PACKAGE_CONTACT "${CARDINAL_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # else it comes before each component's own
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
string(TOLOWER "cardinal-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" CPACK_PACKAGE_FILE_NAME)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0) # xz on all processors
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
get_cmake_property(CPACK_COMPONENTS_ALL COMPONENTS)

# ---- Debian
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
if(NOT DEFINED CPACK_DEBIAN_PACKAGE_RELEASE)
  set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
endif()
set(exactly "(= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(CPACK_DEBIAN_PACKAGE_SOURCE cardinal)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
# Manual pages compressed, copyright and changelog where Debian looks for them
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/deb_policy.cmake)
set(CPACK_CARDINAL_SOURCE ${PROJECT_SOURCE_DIR})

set(soversion ${PROJECT_VERSION_MAJOR})
if(soversion EQUAL 0)
  set(soversion 0.${PROJECT_VERSION_MINOR}) # as engine/CMakeLists.txt has it
endif()
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libcardinal${soversion})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS libvulkan1) # opened at run time
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "mesa-vulkan-drivers | vulkan-icd")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/debian/triggers)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "ResNeXt image classifiers on any Vulkan GPU - shared library
Runs and trains ResNeXt and other networks of the ResNet family on GPUs of
any vendor through Vulkan compute. It reads PyTorch's weight files as they
are, and can share the Vulkan device of the program that uses it.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libcardinal-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libcardinal${soversion} ${exactly}")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS libvulkan-dev) # which cdl_vulkan.h includes
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "ResNeXt image classifiers on any Vulkan GPU - development files
Headers, the static library, a CMake package and a pkg-config file of
libcardinal, which runs and trains ResNeXt networks through Vulkan compute.")

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME cardinal)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_DEPENDS libvulkan1)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_RECOMMENDS "mesa-vulkan-drivers | vulkan-icd")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SUGGESTS cardinal-demo)
set(CPACK_COMPONENT_PROGRAMS_DESCRIPTION "classify pictures with ResNeXt on any Vulkan GPU
Classifies pictures, evaluates, measures, trains and converts ResNeXt and
other networks of the ResNet family, on GPUs of any vendor or on a CPU driver
of Vulkan. It reads PyTorch's weight files as they are, and brings a small
model of 105 everyday names.")

set(CPACK_DEBIAN_DEMO_PACKAGE_NAME cardinal-demo)
set(CPACK_DEBIAN_DEMO_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_DEMO_PACKAGE_DEPENDS "cardinal ${exactly}, fonts-dejavu-core | fonts-noto-core | fonts-liberation") # its model; a font
set(CPACK_COMPONENT_DEMO_DESCRIPTION "classify a camera, a video or pictures live on any Vulkan GPU
Shows a camera, a video or pictures with the names that a ResNeXt network
gives them, a heat map of where the evidence lies, and the times of every
stage.")

set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-cardinal-vk)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "libcardinal${soversion} ${exactly}, python3, python3-numpy")
set(CPACK_DEBIAN_PYTHON_PACKAGE_RECOMMENDS python3-pil) # pictures by their paths
# What Python compiles goes with the package.
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/debian/python/postinst ${CMAKE_CURRENT_LIST_DIR}/debian/python/prerm)
set(CPACK_COMPONENT_PYTHON_DESCRIPTION "ResNeXt image classifiers on any Vulkan GPU - Python package
NumPy arrays and pictures into ResNeXt networks that run through Vulkan
compute, by libcardinal.")
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  if(NOT DEFINED CPACK_DEBIAN_${upper}_PACKAGE_NAME)
    message(FATAL_ERROR "The component '${component}' of an install rule has no package: give it one in third_party/cpack.cmake, or "
                        "name a component that has")
  endif()
endforeach()
include(CPack)
