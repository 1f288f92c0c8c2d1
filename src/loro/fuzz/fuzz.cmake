# SPDX-License-Identifier: Apache-2.0
merrow_fuzz_layer(
  loro
  TARGETS import blob_meta change_block sstable lz4_frame snapshot state version json_updates
  SOURCES fuzz/fuzz_blob_meta.cc
          fuzz/fuzz_change_block.cc
          fuzz/fuzz_import.cc
          fuzz/fuzz_json_updates.cc
          fuzz/fuzz_lz4_frame.cc
          fuzz/fuzz_repair.cc
          fuzz/fuzz_seeds.cc
          fuzz/fuzz_snapshot.cc
          fuzz/fuzz_sstable.cc
          fuzz/fuzz_state.cc
          fuzz/fuzz_targets.cc
          fuzz/fuzz_version.cc
  DEPENDS merrow_loro)
merrow_test(loro_corpus_test SOURCES ${MERROW_CORPUS_TEST} DEPENDS loro_fuzz_targets)
