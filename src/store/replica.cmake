# SPDX-License-Identifier: Apache-2.0
#
# The replica log. Its sources can be compiled into merrow.so as those of cells.cmake are.
set(MERROW_REPLICA_SOURCES
    document_ops.cc
    replica_applier.cc
    replica_builder.cc
    replica_export.cc
    replica_identity.cc
    replica_log.cc
    replica_new_identity.cc
    replica_page.cc
    replica_parked.cc
    replica_parts.cc
    replica_prune.cc
    replica_tombstone_marks.cc
    replica_tombstones.cc
    replica_waiting.cc)
list(TRANSFORM MERROW_REPLICA_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
set(MERROW_REPLICA_SOURCES ${MERROW_REPLICA_SOURCES} CACHE INTERNAL
                                                           "The replica log, for merrow.so too")
merrow_library(store_replica SOURCES ${MERROW_REPLICA_SOURCES} DEPENDS merrow_store_cells merrow_loro
               merrow_changeset)
merrow_test(store_replica_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/document_ops_test.cc
                                       ${CMAKE_CURRENT_LIST_DIR}/replica_cost_test.cc
                                       ${CMAKE_CURRENT_LIST_DIR}/replica_log_test.cc
                                       ${CMAKE_CURRENT_LIST_DIR}/replica_identity_test.cc
                                       ${CMAKE_CURRENT_LIST_DIR}/replica_parked_prop_test.cc
                                       ${CMAKE_CURRENT_LIST_DIR}/replica_prop_test.cc
                                       ${CMAKE_CURRENT_LIST_DIR}/replica_test_util.cc
            DEPENDS merrow_store_replica)
