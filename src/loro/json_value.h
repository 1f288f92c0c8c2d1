// SPDX-License-Identifier: Apache-2.0
//
// Values written as JSON by somebody else.

#pragma once

#include <string_view>

#include "merrow/result.h"
#include "merrow/value.h"

namespace merrow::loro {

/// The value that `json` describes: numbers without fraction or exponent are integers, of repeated
/// keys the last counts. Invalid argument, with the place, if it is not JSON or an integer does not
/// fit 64 bits with sign; limit if it nests deeper than kValueDepthMax.
Result<Value> ParseJsonValue(std::string_view json);

}  // namespace merrow::loro
