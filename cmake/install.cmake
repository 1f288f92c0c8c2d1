# SPDX-License-Identifier: Apache-2.0
#
# `cmake --install build/release [--prefix DIR]`: the command, the libraries, the headers, and what CMake
# (find_package(merrow)) and pkg-config (merrow) need to find them.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS merrow RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(
  TARGETS merrow_shared merrow_static
  EXPORT merrowTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_SOURCE_DIR}/include/merrow.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/merrow DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/merrow)
install(
  EXPORT merrowTargets
  NAMESPACE merrow::
  DESTINATION ${package_dir})
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/merrowConfig.cmake.in ${CMAKE_BINARY_DIR}/merrowConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/merrowConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/merrowConfig.cmake ${CMAKE_BINARY_DIR}/merrowConfigVersion.cmake
        DESTINATION ${package_dir})

file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/merrow.pc.in ${CMAKE_BINARY_DIR}/merrow.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/merrow.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
