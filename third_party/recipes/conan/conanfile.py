"""Conan 2 recipe of the library, from the tree that it lies in: conan create third_party/recipes/conan --build=missing"""
import os
import re

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

TREE = ("CMakeLists.txt", "LICENSE", "THIRD-PARTY-NOTICES", "README.md", "CHANGELOG.md", "engine/*", "shaders/*", "docs/*.md",
        "docs/*.png", "third_party/*.cmake", "third_party/debian/*")


class Cardinal(ConanFile):
    name = "cardinal"
    description = "ResNeXt image classifiers on any Vulkan GPU"
    license = "MIT"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    implements = ["auto_shared_fpic"]
    languages = "C"

    def root(self):
        return os.path.abspath(os.path.join(self.recipe_folder, "..", "..", ".."))

    def set_version(self):
        header = load(self, os.path.join(self.root(), "engine", "include", "cdl", "cdl.h"))
        self.version = ".".join(re.findall(r"#define CDL_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))

    def export_sources(self):
        for pattern in TREE:
            copy(self, pattern, src=self.root(), dst=self.export_sources_folder)

    def requirements(self):
        self.requires("vulkan-headers/[>=1.3.239]", transitive_headers=True)  # cdl_vulkan.h includes them

    def build_requirements(self):
        self.tool_requires("glslang/[>=11.5]")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["CARDINAL_APPS"] = False
        toolchain.cache_variables["CARDINAL_TESTS"] = False
        toolchain.cache_variables["CARDINAL_INSTALL"] = True
        headers = self.dependencies["vulkan-headers"].cpp_info.includedirs[0]
        toolchain.cache_variables["CARDINAL_VULKAN_INCLUDE_DIR"] = headers.replace("\\", "/")
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))
        copy(self, "THIRD-PARTY-NOTICES", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.libs = ["cardinal"]
        self.cpp_info.set_property("cmake_file_name", "cardinal")
        self.cpp_info.set_property("cmake_target_name", "cardinal::cardinal")
        self.cpp_info.set_property("pkg_config_name", "cardinal")
        if not self.options.shared:
            self.cpp_info.defines = ["CDL_STATIC"]
            if self.settings.os != "Windows":
                self.cpp_info.system_libs = ["pthread", "dl", "m"]
