# SPDX-License-Identifier: Apache-2.0
set(loro_codec_sources change_block.cc change_block_builder.cc change_block_encoder.cc columns.cc
                       container_id_codec.cc envelope.cc value_codec.cc)
set(loro_codec_tests
    change_block_test.cc
    change_block_test_util.cc
    columns_test.cc
    container_id_codec_test.cc
    envelope_test.cc
    value_codec_test.cc)
set_source_files_properties(
  change_block_test_util.cc PROPERTIES COMPILE_DEFINITIONS "MERROW_VECTORS=\"${CMAKE_SOURCE_DIR}/test/vectors\"")
