# SPDX-License-Identifier: Apache-2.0
set(loro_sequence_sources list_state.cc sequence_index.cc sequence_tracker.cc text_leaf.cc
                          text_state.cc)
set(loro_sequence_tests list_state_prop_test.cc sequence_tracker_prop_test.cc
                        sequence_vectors_test.cc text_state_prop_test.cc)
set_source_files_properties(
  sequence_vectors_test.cc
  PROPERTIES COMPILE_DEFINITIONS "MERROW_VECTORS=\"${CMAKE_SOURCE_DIR}/test/vectors\"")
