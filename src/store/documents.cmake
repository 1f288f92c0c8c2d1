# SPDX-License-Identifier: Apache-2.0
#
# Document rows: the file, its schema, documents on disk, their columns, and edits of them by SQL.
# Compiled twice, as column rows are (cells.cmake): merrow.so has document tables as well.
set(MERROW_DOCUMENT_SOURCES
    create_table.cc
    database_file.cc
    document_cache.cc
    document_capture.cc
    document_capture_exchange.cc
    document_capture_triggers.cc
    document_log.cc
    document_rows.cc
    document_rows_table.cc
    file_lock.cc
    projection.cc
    row_capture.cc
    row_edit.cc
    row_edit_container.cc
    row_edit_diff.cc
    row_edit_tree.cc
    schema.cc
    sqlite.cc)
list(TRANSFORM MERROW_DOCUMENT_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
set(MERROW_DOCUMENT_SOURCES ${MERROW_DOCUMENT_SOURCES} CACHE INTERNAL "Document rows, for merrow.so too")
merrow_library(store_documents SOURCES ${MERROW_DOCUMENT_SOURCES}
               DEPENDS merrow_store_replica merrow_store_cells merrow_loro PkgConfig::SQLITE3)
merrow_test(store_documents_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/document_capture_test.cc
                                         ${CMAKE_CURRENT_LIST_DIR}/row_edit_test.cc
                                         ${CMAKE_CURRENT_LIST_DIR}/row_edit_diff_prop_test.cc
            DEPENDS merrow_store_documents)
