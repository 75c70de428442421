# loader.cmake - after `cmake --install` of the shared library: lets the loader know of it, or says how. `libdir` is where
# it was installed.
find_program(ldconfig ldconfig PATHS /sbin /usr/sbin)
if(NOT "$ENV{DESTDIR}" STREQUAL "" OR NOT ldconfig)
  return() # a package's own scripts do it
endif()
# -v lists the folders that the loader looks into, those of /etc/ld.so.conf among them; -N and -X change nothing.
execute_process(COMMAND ${ldconfig} -v -N -X OUTPUT_VARIABLE known ERROR_QUIET)
file(REAL_PATH ${libdir} real)
if(NOT "\n${known}" MATCHES "\n(${libdir}|${real}):")
  return() # a folder of one's own: the CMake package and LD_LIBRARY_PATH lead there
endif()
execute_process(COMMAND ${ldconfig} RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
if(failed)
  message(STATUS "Now run `sudo ldconfig`: until then programs do not find libcardinal in ${libdir}")
endif()
