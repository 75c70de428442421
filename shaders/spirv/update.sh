#!/bin/sh
# update.sh - compiles the matrix-unit shaders, which the glslang of older distributions cannot, to the SPIR-V that
# builds there use, and writes their sources' hashes to MANIFEST.
#
#   GLSLANG="path/to/glslangValidator" shaders/spirv/update.sh
#
# GLSLANG may be a command with arguments; it needs GL_KHR_cooperative_matrix and GL_NV_cooperative_matrix2 (glslang
# 15.1 or newer). No optimizer runs: spirv-opt has broken cooperative matrices (github.com/ggml-org/llama.cpp/issues/10763).
set -eu
cd "$(dirname "$0")/.."
source_of() { echo */"$1.comp"; }
shaders="conv_coop conv_coop2 conv_grouped_coop conv_pair_coop peak_matrix"
for shader in $shaders; do
    case $shader in
    *2) target=vulkan1.3 ;; # VK_NV_cooperative_matrix2
    *) target=vulkan1.2 ;;
    esac
    ${GLSLANG:-glslangValidator} -V --target-env $target -Iinclude -DSTORAGE_FP16 -o "spirv/$shader.spv" "$(source_of $shader)"
done
{
    for shader in $shaders; do sha256sum "$(source_of $shader)" "include/${shader}_constants.h"; done
    cd include
    sha256sum matrix.glsl units.glsl halves.glsl window.glsl window_units.glsl constants.glsl conv_params.h peak_params.h
} >spirv/MANIFEST
