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
shaders="conv_coop conv_coop2 conv_grouped_coop conv_grouped_persist conv_pair_coop conv_pair_persist conv_persist conv_dw_coop conv_dw_grouped_coop peak_matrix"
# compile FILE SHADER TARGET [DEFINITION...]
compile() {
    file=$1 shader=$2 target=$3; shift 3
    ${GLSLANG:-glslangValidator} -V --target-env "$target" -Iinclude -DSTORAGE_FP16 "$@" -o "spirv/$file.spv" "$(source_of "$shader")"
}
for shader in $shaders; do
    case $shader in
    *2) compile $shader $shader vulkan1.3 ;; # VK_NV_cooperative_matrix2
    *) compile $shader $shader vulkan1.2 ;;
    esac
done
compile conv_persist_narrow conv_persist vulkan1.2 -DNARROW_STAGE
{
    for shader in $shaders; do sha256sum "$(source_of $shader)" "include/${shader}_constants.h"; done
    cd include
    sha256sum matrix.glsl units.glsl halves.glsl window.glsl window_units.glsl gradient_units.glsl constants.glsl conv_params.h train_dw_params.h peak_params.h
} >spirv/MANIFEST
