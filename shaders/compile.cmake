# Compiles one shader to a C header of SPIR-V words; a warning is an error. With PREBUILT, that SPIR-V is used
# instead, if MANIFEST has the hashes of the sources in SHARED and SOURCE.
if(PREBUILT)
  file(READ ${MANIFEST} manifest)
  foreach(file ${SOURCE} ${SHARED})
    file(READ ${file} text)
    string(REPLACE "\r\n" "\n" text "${text}")
    string(SHA256 hash "${text}")
    if(NOT manifest MATCHES "${hash}")
      message(FATAL_ERROR "${PREBUILT} is older than ${file}, and ${GLSLANG} is too old to compile it. "
              "Run shaders/spirv/update.sh with a newer glslang (see there).")
    endif()
  endforeach()
  file(READ ${PREBUILT} words HEX)
  string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1,\n" words "${words}")
  file(WRITE ${HEADER} "// Generated from ${PREBUILT}.\nconst uint32_t ${NAME}[] = {\n${words}};\n")
  return()
endif()
# DEFINITIONS: names to define, separated by commas
string(REPLACE "," ";" names "${DEFINITIONS}")
set(define "")
foreach(name ${names})
  list(APPEND define -D${name})
endforeach()
execute_process(
  COMMAND ${GLSLANG} -V --target-env ${TARGET} ${define} --vn ${NAME} -o ${HEADER} ${SOURCE}
  OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR output MATCHES "WARNING")
  file(REMOVE ${HEADER})
  message(FATAL_ERROR "${output}")
endif()
