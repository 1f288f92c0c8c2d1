# SPDX-License-Identifier: Apache-2.0
set(loro_rest_sources document_rest.cc resting_document.cc)
set(loro_rest_tests resting_document_test.cc value_test.cc)
