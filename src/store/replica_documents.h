// SPDX-License-Identifier: Apache-2.0
//
// The documents of a database, as its replica log (replica_log.h) sees them. The server's store
// implements it on its cache; all of it happens in the transaction of the caller.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merrow/bytes.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/version_vector.h"

namespace merrow::store {

/// Ops of one document.
struct DocumentOps {
  int64_t document_id = 0;
  /// All ops that it has, then `spans` is empty.
  bool all = false;
  std::vector<loro::IdSpan> spans;  // by peer and counter, neither overlapping nor touching

  friend bool operator==(const DocumentOps&, const DocumentOps&) = default;
};

/// How a document travels.
struct DocumentBlocks {
  std::string table;
  Bytes key;     // packed
  Bytes blocks;  // change blocks, each behind its length; empty: nothing of it is here
};

class ReplicaDocuments {
 public:
  virtual ~ReplicaDocuments() = default;

  /// Is that a table of documents here?
  virtual bool HasTable(std::string_view table) const = 0;

  /// The version of a document, empty if it does not exist.
  virtual Result<loro::VersionVector> VersionOf(std::string_view table, BytesView packed_key) = 0;

  struct Imported {
    /// Some op follows one that is not here. The caller undoes everything.
    bool is_waiting = false;
    /// What was new. Its document is named also if that is nothing; 0: there is no such document.
    DocumentOps ops;
  };
  /// Merges change blocks into a document. The inner error is of a document or row that cannot take
  /// them, after which the caller undoes; the outer one ends the transaction.
  virtual Result<Result<Imported>> Import(std::string_view table, BytesView packed_key,
                                          BytesView blocks) = 0;
  /// A part begins that may be undone: then the database was rolled back to where it was.
  virtual void BeginPart() = 0;
  virtual void UndoPart() = 0;

  /// False if it cannot be read, because it is quarantined.
  virtual Result<bool> IsReadable(int64_t document_id) = 0;
  /// The change blocks of `ops`. REQUIRES: it is readable
  virtual Result<DocumentBlocks> Export(const DocumentOps& ops) = 0;

  /// Every document with the bytes that it takes on disk, by rising id.
  virtual Status ForEach(const std::function<Status(int64_t document_id, size_t bytes)>& visit) = 0;
};

}  // namespace merrow::store
