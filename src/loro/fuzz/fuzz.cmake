# SPDX-License-Identifier: Apache-2.0
#
# Fuzz targets: with MERROW_FUZZ a libFuzzer program for each, loro_fuzz_TARGET, and loro_fuzz_seeds,
# which writes what they start from; in every build a test that runs all of them over known inputs.
set(loro_fuzz_targets
    Import:import
    BlobMeta:blob_meta
    ChangeBlock:change_block
    Sstable:sstable
    Lz4Frame:lz4_frame
    Snapshot:snapshot
    State:state
    Version:version
    JsonUpdates:json_updates)
set(loro_fuzz_sources fuzz/fuzz_repair.cc)
foreach(target IN LISTS loro_fuzz_targets)
  string(REGEX REPLACE "^.*:" "" name ${target})
  list(APPEND loro_fuzz_sources fuzz/fuzz_${name}.cc)
endforeach()

merrow_test(loro_corpus_test SOURCES fuzz/fuzz_corpus_test.cc fuzz/fuzz_seeds.cc ${loro_fuzz_sources}
            DEPENDS merrow_loro)
target_compile_definitions(
  loro_corpus_test PRIVATE "MERROW_VECTORS=\"${CMAKE_SOURCE_DIR}/test/vectors\""
                           "MERROW_CORPORA=\"${CMAKE_SOURCE_DIR}/test/corpora\"")

if(MERROW_FUZZ)
  add_executable(loro_fuzz_seeds fuzz/fuzz_seed_writer.cc fuzz/fuzz_seeds.cc)
  target_link_libraries(loro_fuzz_seeds PRIVATE merrow_loro)
  foreach(target IN LISTS loro_fuzz_targets)
    string(REGEX REPLACE "^.*:" "" name ${target})
    string(REGEX REPLACE ":.*$" "" function ${target})
    merrow_fuzz(loro_fuzz_${name} SOURCES fuzz/fuzz_main.cc fuzz/fuzz_${name}.cc fuzz/fuzz_repair.cc
                DEPENDS merrow_loro)
    target_compile_definitions(loro_fuzz_${name} PRIVATE MERROW_FUZZ_TARGET=Fuzz${function})
  endforeach()
endif()
