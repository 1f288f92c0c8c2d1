# SPDX-License-Identifier: Apache-2.0
set(loro_snapshot_sources
    list_codec.cc
    lz4_frame.cc
    map_codec.cc
    movable_list_codec.cc
    snapshot.cc
    snapshot_cache.cc
    sstable.cc
    state_codec.cc
    state_columns.cc
    text_codec.cc
    tree_codec.cc)
set(loro_snapshot_tests lz4_frame_test.cc snapshot_cache_prop_test.cc snapshot_test.cc sstable_test.cc
                        state_codec_test.cc)
set_source_files_properties(
  snapshot_test.cc state_codec_test.cc
  PROPERTIES COMPILE_DEFINITIONS "MERROW_VECTORS=\"${CMAKE_SOURCE_DIR}/test/vectors\"")
