// SPDX-License-Identifier: Apache-2.0
//
// One value in the fewest bytes: the class and small contents share the first (changeset_format.h).

#pragma once

#include "base/bytes.h"
#include "cells/value.h"

namespace merrow::changeset {

void WriteValue(const cells::ValueView& value, ByteWriter* writer);
/// A view into what is read. Corruption for what WriteValue does not write.
Result<cells::ValueView> ReadValue(ByteReader& reader);

}  // namespace merrow::changeset
