# SPDX-License-Identifier: Apache-2.0
#
# Column rows. The sources are compiled twice: here against the linked libsqlite3, and once more in
# merrow.so (src/extension) with MERROW_EXTENSION, against the SQLite that loads it
# (sqlite_api.h says how).
set(MERROW_CELL_SOURCES
    cell_alter.cc
    cell_apply.cc
    cell_apply_rows.cc
    cell_capture.cc
    cell_clocks.cc
    cell_collect.cc
    cell_key_walk.cc
    cell_pending.cc
    cell_reader.cc
    cell_statement.cc
    cell_store.cc
    cell_table.cc
    cell_takeover.cc
    cell_transaction.cc
    cell_transaction_write.cc
    cell_tx_rows.cc)
list(TRANSFORM MERROW_CELL_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
set(MERROW_CELL_SOURCES ${MERROW_CELL_SOURCES} CACHE INTERNAL "Column rows, for merrow.so too")
merrow_library(store_cells SOURCES ${MERROW_CELL_SOURCES} DEPENDS merrow_cells PkgConfig::SQLITE3)
merrow_test(store_cells_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/cell_apply_prop_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_apply_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_capture_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_clocks_prop_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_fault_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_merge_prop_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_order_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_pending_prop_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_reader_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_store_test.cc
                                     ${CMAKE_CURRENT_LIST_DIR}/cell_tx_rows_test.cc
            DEPENDS merrow_store_cells)
