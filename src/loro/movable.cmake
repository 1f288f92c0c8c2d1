# SPDX-License-Identifier: Apache-2.0
set(loro_movable_sources fractional_index.cc movable_list_history.cc movable_list_items.cc
                         movable_list_state.cc tree_nodes.cc tree_state.cc)
set(loro_movable_tests fractional_index_test.cc movable_list_state_prop_test.cc
                       movable_list_state_test.cc tree_siblings_prop_test.cc tree_state_prop_test.cc
                       tree_state_test.cc)
set_source_files_properties(
  movable_list_state_test.cc tree_state_test.cc
  PROPERTIES COMPILE_DEFINITIONS "MERROW_VECTORS=\"${CMAKE_SOURCE_DIR}/test/vectors\"")
