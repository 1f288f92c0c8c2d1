// SPDX-License-Identifier: Apache-2.0
//
// SQLite's C API, from wherever this build gets it.
//
// The sources named cell_* (src/store/cells.cmake) are compiled twice: into merrow_store_cells,
// which calls the linked libsqlite3, and with MERROW_EXTENSION into merrow.so, which must call the
// SQLite of the program that loads it. SQLite's own way for that is sqlite3ext.h, whose macros send
// every sqlite3_x() through the table that the entry point was given. So these sources include this
// header, never sqlite3.h, and only use what the table of SQLite 3.35 holds.

#pragma once

#ifdef MERROW_EXTENSION
#include <sqlite3ext.h>
// The table; src/extension/extension.cc defines it.
SQLITE_EXTENSION_INIT3
#else
#include <sqlite3.h>
#endif
