# SPDX-License-Identifier: Apache-2.0
set(loro_versions_sources document_versions.cc history_base.cc op_overlap.cc)
set(loro_versions_tests document_versions_prop_test.cc document_versions_test.cc)
