// SPDX-License-Identifier: Apache-2.0
//
// ModelDocument: a document reduced to what sync is about, for tests. Its ops have no content; each
// names its peer, its counter and the version that its author had seen, which is what it depends
// on. Blobs have a checksum, as Loro's have, so damaged ones are refused. Linked by tests only.

#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "merrow/version_vector.h"

namespace merrow::sync {

struct ModelOp {
  loro::Id id;
  loro::VersionVector deps;
};

struct ModelBlob {
  bool is_snapshot = false;
  std::vector<ModelOp> ops;
};

Bytes EncodeBlob(const ModelBlob& blob);
Result<ModelBlob> DecodeBlob(BytesView bytes);
/// The end of each peer's ops in a blob.
loro::VersionVector BlobEnd(const ModelBlob& blob);

class ModelDocument {
 public:
  const loro::VersionVector& version() const { return version_; }

  /// Adds ops by `peer`, each following everything that is here. Returns an update with them.
  Bytes Edit(loro::PeerId peer, int count);

  /// Adds the ops of the blob that are not here. False if one of them depends on ops that are
  /// neither here nor in the blob; then nothing was added.
  bool Import(const ModelBlob& blob);

  /// What `from` lacks.
  Bytes ExportSince(const loro::VersionVector& from, bool as_snapshot = false) const;

 private:
  std::map<loro::PeerId, std::vector<loro::VersionVector>> deps_;  // by peer and counter
  loro::VersionVector version_;
};

}  // namespace merrow::sync
