# SPDX-License-Identifier: Apache-2.0
#
# JSON updates, values and deltas as JSON, and mergeable children. nlohmann-json is for reading alone
# and stays inside json_updates_import.cc, json_updates_schema.h and json_value.cc.
find_package(nlohmann_json REQUIRED)
target_sources(merrow_loro PRIVATE delta_json.cc document_json.cc json_updates_export.cc
                                   json_updates_import.cc json_updates_schema.cc json_value.cc
                                   mergeable.cc)
target_link_libraries(merrow_loro PRIVATE $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
merrow_test(loro_json_test SOURCES json_updates_test.cc json_value_test.cc mergeable_test.cc DEPENDS merrow_loro)
target_compile_definitions(loro_json_test PRIVATE MERROW_VECTORS="${CMAKE_SOURCE_DIR}/test/vectors")
