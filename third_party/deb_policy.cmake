# deb_policy.cmake - between installing into a package's folder and packing it: what Debian's policy asks for and an
# installation elsewhere does not have. CPack runs it, once for all components.
if(NOT CPACK_GENERATOR STREQUAL DEB)
  return()
endif()

# The licences whose texts stand at the end of the notices are on every Debian.
file(READ ${CPACK_CARDINAL_SOURCE}/THIRD-PARTY-NOTICES notices)
string(FIND "${notices}" "1: GNU Lesser General Public License" end REVERSE)
string(SUBSTRING "${notices}" 0 ${end} notices)
string(REGEX REPLACE "=+\n$" "" notices "${notices}")
file(READ ${CPACK_CARDINAL_SOURCE}/LICENSE licence)
set(copyright "Cardinal, all but what is named below:\n\n${licence}\n${notices}
On Debian systems the full texts that these notices number 1 to 4 are in /usr/share/common-licenses: LGPL-2.1,
Apache-2.0, LGPL-3 and GPL-3.\n")
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC) # of $SOURCE_DATE_EPOCH where that is set
set(changelog "cardinal (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * What changed is told in changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${now}\n")

function(compress)
  execute_process(COMMAND gzip -9nf ${ARGV} RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "gzip ${ARGV}: ${failed}")
  endif()
endfunction()

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  set(share ${CPACK_TEMPORARY_DIRECTORY}/${component}/usr/share)
  set(doc ${share}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  file(WRITE ${doc}/copyright "${copyright}")
  file(WRITE ${doc}/changelog.Debian "${changelog}")
  configure_file(${CPACK_CARDINAL_SOURCE}/CHANGELOG.md ${doc}/changelog COPYONLY)
  file(GLOB pages ${share}/man/*/*.[1-8])
  compress(${doc}/changelog.Debian ${doc}/changelog ${pages})
  if(EXISTS ${share}/zsh/site-functions)
    file(RENAME ${share}/zsh/site-functions ${share}/zsh/vendor-completions) # where Debian's zsh looks
  endif()
endforeach()
