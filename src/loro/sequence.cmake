# SPDX-License-Identifier: Apache-2.0
set(loro_sequence_sources)
set(loro_sequence_tests)
