# SPDX-License-Identifier: Apache-2.0
merrow_fuzz_layer(
  replication
  TARGETS message
  SOURCES fuzz/fuzz_message.cc
  DEPENDS merrow_replication)
merrow_test(replication_corpus_test SOURCES ${MERROW_CORPUS_TEST} DEPENDS replication_fuzz_targets)
