// SPDX-License-Identifier: Apache-2.0
//
// Keys that put rows in an order of the user's: between any two there is room for another.
//
// A key is an integer part and a fraction, in 95 digits from ' ' to '~', so that keys compare as
// texts. The integer part's first letter says how long it is: 'a' to 'z' for 1 to 26 digits and
// rising, 'A' to 'Z' for 26 to 1 digits and below them. The first key is "a ", appending gives
// "a!", prepending "Z~", and between "a " and "a!" lies "a P". These are cr-sqlite's keys.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "merrow/result.h"

namespace merrow::extension {

/// A key above `low` and below `high`; nothing means no bound. Invalid argument if low >= high or
/// one is not a key.
Result<std::string> KeyBetween(std::optional<std::string_view> low,
                               std::optional<std::string_view> high);

}  // namespace merrow::extension
