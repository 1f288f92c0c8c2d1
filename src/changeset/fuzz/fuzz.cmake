# SPDX-License-Identifier: Apache-2.0
merrow_fuzz_layer(
  changeset
  TARGETS changeset_frames changeset_file version_text
  SOURCES fuzz/fuzz_changeset_file.cc fuzz/fuzz_changeset_frames.cc fuzz/fuzz_check.cc
          fuzz/fuzz_targets.cc fuzz/fuzz_version_text.cc changeset_test_util.cc
  DEPENDS merrow_changeset)
merrow_test(changeset_corpus_test SOURCES ${MERROW_CORPUS_TEST} DEPENDS changeset_fuzz_targets)
