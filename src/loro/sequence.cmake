# SPDX-License-Identifier: Apache-2.0
set(loro_sequence_sources sequence_index.cc sequence_tracker.cc)
set(loro_sequence_tests sequence_tracker_prop_test.cc)
