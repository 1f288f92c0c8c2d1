# SPDX-License-Identifier: Apache-2.0
set(loro_snapshot_sources)
set(loro_snapshot_tests)
