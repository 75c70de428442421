# An overlay port, of the tree that it lies in: vcpkg install cardinal --overlay-ports=third_party/recipes/vcpkg
# The library alone; programs are for packages that people install.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DCARDINAL_APPS=OFF
    -DCARDINAL_TESTS=OFF
    -DCARDINAL_INSTALL=ON
    "-DCARDINAL_VULKAN_INCLUDE_DIR=${CURRENT_INSTALLED_DIR}/include"
    "-DCARDINAL_GLSLANG=${CURRENT_HOST_INSTALLED_DIR}/tools/glslang/glslang${VCPKG_HOST_EXECUTABLE_SUFFIX}"
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME cardinal CONFIG_PATH lib/cmake/cardinal)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share" "${CURRENT_PACKAGES_DIR}/share/doc")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE" "${SOURCE_PATH}/THIRD-PARTY-NOTICES")
