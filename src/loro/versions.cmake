# SPDX-License-Identifier: Apache-2.0
set(loro_versions_sources document_versions.cc)
set(loro_versions_tests)
