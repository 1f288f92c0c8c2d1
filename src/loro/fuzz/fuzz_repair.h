// SPDX-License-Identifier: Apache-2.0
//
// Makes the checksums of damaged input right again, so that the damage reaches the decoders behind
// them. Goes as far as the input can be made sense of and leaves the rest as it is.

#pragma once

#include "base/bytes.h"

namespace merrow::loro {

/// The checksums of a store's blocks and of its metadata.
Bytes RepairedSstable(BytesView store);
/// Those of the stores in a snapshot's body.
Bytes RepairedSnapshot(BytesView body);
/// That of the envelope, after those of the body.
Bytes RepairedBlob(BytesView blob);

}  // namespace merrow::loro
