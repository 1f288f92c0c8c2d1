# SPDX-License-Identifier: Apache-2.0
set(loro_snapshot_sources lz4_frame.cc sstable.cc)
set(loro_snapshot_tests lz4_frame_test.cc sstable_test.cc)
