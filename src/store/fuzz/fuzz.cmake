# SPDX-License-Identifier: Apache-2.0
merrow_fuzz_layer(
  store
  TARGETS tx_rows
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_tx_rows.cc
  DEPENDS merrow_store_cells)
merrow_test(store_corpus_test SOURCES ${MERROW_CORPUS_TEST} DEPENDS store_fuzz_targets)
