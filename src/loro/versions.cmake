# SPDX-License-Identifier: Apache-2.0
set(loro_versions_sources document_versions.cc history_base.cc)
set(loro_versions_tests document_versions_prop_test.cc)
