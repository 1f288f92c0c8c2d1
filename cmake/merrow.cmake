# SPDX-License-Identifier: Apache-2.0
#
# Helpers that every layer's CMakeLists.txt uses: one library, one test binary and, for clang, fuzz
# targets per folder, all with the project's warnings and sanitizers.

find_package(PkgConfig REQUIRED)
find_package(GTest REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(SQLITE3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

add_library(merrow_options INTERFACE)
target_include_directories(merrow_options INTERFACE ${CMAKE_SOURCE_DIR}/src
                                                    ${CMAKE_SOURCE_DIR}/include)
target_compile_options(
  merrow_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wold-style-cast -Werror
                           -fvisibility=hidden)
if(MERROW_SANITIZE)
  target_compile_options(merrow_options INTERFACE -fsanitize=${MERROW_SANITIZE}
                                                  -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(merrow_options INTERFACE -fsanitize=${MERROW_SANITIZE})
  # Sanitizer instrumentation makes g++ 12 see uninitialised and out-of-bounds paths that are not there.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(merrow_options INTERFACE -Wno-maybe-uninitialized -Wno-array-bounds
                                                    -Wno-stringop-overflow -Wno-restrict)
  endif()
endif()

if(MERROW_FUZZ)
  target_compile_options(merrow_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# merrow_library(<layer> SOURCES ... [DEPENDS ...]): the library of one layer, target merrow_<layer>.
function(merrow_library layer)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(merrow_${layer} STATIC ${arg_SOURCES})
  target_link_libraries(merrow_${layer} PUBLIC merrow_options ${arg_DEPENDS})
endfunction()

# merrow_test(<name> SOURCES ... [DEPENDS ...]): one test binary, run by ctest under its name.
function(merrow_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE merrow_options ${arg_DEPENDS} GTest::gmock_main)
  add_test(NAME ${name} COMMAND ${name})
endfunction()

# merrow_fuzz(<name> SOURCES ... [DEPENDS ...]): one libFuzzer program, whose sources define
# LLVMFuzzerTestOneInput. Nothing without MERROW_FUZZ, so every compiler can configure the rest.
function(merrow_fuzz name)
  if(NOT MERROW_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE merrow_options ${arg_DEPENDS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()

# merrow_fuzz_layer(<layer> TARGETS <name>... SOURCES ... [DEPENDS ...]): what the fuzz targets of a
# layer share, library <layer>_fuzz_targets, and with MERROW_FUZZ a libFuzzer program for each,
# <layer>_fuzz_<name>, and <layer>_fuzz_seeds, which writes what they start from. One of the sources
# defines FuzzTargets (base/fuzz/fuzz_target.h).
# MERROW_CORPUS_TEST is the source of the test that runs all of them over known inputs.
set(MERROW_CORPUS_TEST ${CMAKE_SOURCE_DIR}/src/base/fuzz/fuzz_corpus_test.cc)
function(merrow_fuzz_layer layer)
  cmake_parse_arguments(arg "" "" "TARGETS;SOURCES;DEPENDS" ${ARGN})
  set(shared ${CMAKE_SOURCE_DIR}/src/base/fuzz)
  add_library(${layer}_fuzz_targets STATIC ${arg_SOURCES} ${shared}/heap_meter.cc)
  target_link_libraries(${layer}_fuzz_targets PUBLIC merrow_options ${arg_DEPENDS})
  target_compile_definitions(
    ${layer}_fuzz_targets PUBLIC "MERROW_VECTORS=\"${CMAKE_SOURCE_DIR}/test/vectors\""
                                 "MERROW_CORPORA=\"${CMAKE_SOURCE_DIR}/test/corpora\"")
  if(NOT MERROW_FUZZ)
    return()
  endif()
  add_executable(${layer}_fuzz_seeds ${shared}/fuzz_seed_writer.cc)
  target_link_libraries(${layer}_fuzz_seeds PRIVATE ${layer}_fuzz_targets)
  foreach(name IN LISTS arg_TARGETS)
    merrow_fuzz(${layer}_fuzz_${name} SOURCES ${shared}/fuzz_main.cc DEPENDS ${layer}_fuzz_targets)
    target_compile_definitions(${layer}_fuzz_${name} PRIVATE "MERROW_FUZZ_TARGET=\"${name}\"")
  endforeach()
endfunction()
