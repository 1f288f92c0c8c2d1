# SPDX-License-Identifier: Apache-2.0
merrow_fuzz_layer(
  cells
  TARGETS row_clock clock_block packed_key
  SOURCES fuzz/fuzz_clock_block.cc fuzz/fuzz_packed_key.cc fuzz/fuzz_row_clock.cc
          fuzz/fuzz_targets.cc
  DEPENDS merrow_cells)
merrow_test(cells_corpus_test SOURCES ${MERROW_CORPUS_TEST} DEPENDS cells_fuzz_targets)
