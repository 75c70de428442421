# jansson.cmake - cardinal::jansson, by pkg-config or else by jansson's CMake package. Installed too: a program that links
# the static library needs jansson itself. cardinal_jansson_FOUND tells.
if(NOT TARGET cardinal::jansson)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(CARDINAL_JANSSON QUIET jansson)
  endif()
  if(CARDINAL_JANSSON_FOUND)
    add_library(cardinal::jansson INTERFACE IMPORTED GLOBAL)
    set_target_properties(cardinal::jansson PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${CARDINAL_JANSSON_INCLUDE_DIRS}" INTERFACE_COMPILE_OPTIONS "${CARDINAL_JANSSON_CFLAGS_OTHER}"
      INTERFACE_LINK_LIBRARIES "${CARDINAL_JANSSON_LINK_LIBRARIES}" INTERFACE_LINK_OPTIONS "${CARDINAL_JANSSON_LDFLAGS_OTHER}")
  else()
    find_package(jansson CONFIG QUIET)
    if(TARGET jansson::jansson)
      add_library(cardinal::jansson INTERFACE IMPORTED GLOBAL)
      set_target_properties(cardinal::jansson PROPERTIES INTERFACE_LINK_LIBRARIES jansson::jansson)
    endif()
  endif()
endif()
set(cardinal_jansson_FOUND FALSE)
if(TARGET cardinal::jansson)
  set(cardinal_jansson_FOUND TRUE)
endif()
