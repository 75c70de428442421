# describe.cmake - what a program prints of itself, into a file that appears whole or not at all.
#   cmake -DPROGRAM=... -DARGUMENTS=--man;2025-01-31 -DOUTPUT=... -P describe.cmake
set(ENV{ASAN_OPTIONS} detect_leaks=0) # of the libraries that the demo loads
execute_process(COMMAND ${PROGRAM} ${ARGUMENTS} OUTPUT_FILE ${OUTPUT}.part RESULT_VARIABLE failed)
if(failed)
  file(REMOVE ${OUTPUT}.part)
  message(FATAL_ERROR "${PROGRAM} ${ARGUMENTS}: ${failed}")
endif()
file(RENAME ${OUTPUT}.part ${OUTPUT})
