# SPDX-License-Identifier: Apache-2.0
merrow_fuzz_layer(
  store
  TARGETS tx_rows document_ops
  SOURCES fuzz/fuzz_document_ops.cc fuzz/fuzz_targets.cc fuzz/fuzz_tx_rows.cc
  DEPENDS merrow_store_replica)
merrow_test(store_corpus_test SOURCES ${MERROW_CORPUS_TEST} DEPENDS store_fuzz_targets)
