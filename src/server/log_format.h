// SPDX-License-Identifier: Apache-2.0
//
// How the log of a server looks: one line per event,
//
//   2026-11-22T06:42:41.300Z warning GET /v1/rows/zzz/nope from 127.0.0.1:52656 refused: ...
//
// Clients and other sites have a say in what is logged (SQL, names, reasons for closing), so this
// is where a line is kept from being more than one, from steering a terminal and from being
// endless.

#pragma once

#include <spdlog/formatter.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace merrow::server {

inline constexpr size_t kLogTextBytesMax = 2000;

/// `text` as it may stand in a log: control characters and what is not UTF-8 become '?', and it is
/// cut to kLogTextBytesMax.
std::string LogText(std::string_view text);

std::unique_ptr<spdlog::formatter> MakeLogFormatter();

}  // namespace merrow::server
