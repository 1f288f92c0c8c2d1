// SPDX-License-Identifier: Apache-2.0
//
// Delta transform: deltas of one document after and beside each other, as undo needs them.
//
//   Compose(a, b)     what a and then b do together
//   Transform(a, b)   what a does once b was done, both made for the same version
//
// Of a text or list, positions move. Where both insert at one place, a's comes first; what both
// delete is deleted once. Values of maps, attributes and places of tree nodes that both set are a's
// if `a_wins`, otherwise b's, and a has nothing left to say about them.
//
// Cost: the length of both deltas.

#pragma once

#include "merrow/delta.h"

namespace merrow::loro {

DocumentDelta Compose(DocumentDelta a, const DocumentDelta& b);
DocumentDelta Transform(DocumentDelta a, const DocumentDelta& b, bool a_wins);

}  // namespace merrow::loro
