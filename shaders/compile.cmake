# Compiles one shader to a C header of SPIR-V words; a warning is an error.
set(define "")
if(DEFINITION)
  set(define -D${DEFINITION})
endif()
execute_process(
  COMMAND ${GLSLANG} -V --target-env vulkan1.2 ${define} --vn ${NAME} -o ${HEADER} ${SOURCE}
  OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR output MATCHES "WARNING")
  file(REMOVE ${HEADER})
  message(FATAL_ERROR "${output}")
endif()
