// SPDX-License-Identifier: Apache-2.0
#include "server/log_limiter.h"

#include <fmt/format.h>

#include <utility>

namespace merrow::server {
namespace {

// What tells kinds of lines apart; the rest of a long line is detail.
constexpr size_t kKindBytesMax = 120;
// Of a line that is kept to be written later.
constexpr size_t kHeldBytesMax = 500;

bool IsHexDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool IsWordByte(char c) {
  return IsHexDigit(c) || (c >= 'g' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Numbers, and names such as those of sites, become '#'.
std::string KindOf(spdlog::level::level_enum level, std::string_view text) {
  constexpr size_t kNameBytesMin = 8;
  std::string kind(1, static_cast<char>('0' + level));
  for (size_t at = 0; at < text.size() && kind.size() < kKindBytesMax;) {
    if (!IsWordByte(text[at])) {
      kind += text[at++];
      continue;
    }
    const size_t start = at;
    bool has_digit = false;
    bool is_hex = true;
    for (; at < text.size() && IsWordByte(text[at]); ++at) {
      has_digit = has_digit || (text[at] >= '0' && text[at] <= '9');
      is_hex = is_hex && IsHexDigit(text[at]);
    }
    const std::string_view word = text.substr(start, at - start);
    if (has_digit || (is_hex && word.size() >= kNameBytesMin)) {
      kind += '#';
    } else {
      kind += word;
    }
  }
  return kind;
}

}  // namespace

LogLimiter::LogLimiter(spdlog::sink_ptr out, NowMs now_ms, const LogLimits& limits)
    : out_(std::move(out)), now_ms_(std::move(now_ms)), limits_(limits) {}

LogLimiter::~LogLimiter() { EndWindows(/*all=*/true); }

void LogLimiter::sink_it_(const spdlog::details::log_msg& message) {
  if (message.level <= spdlog::level::debug) return out_->log(message);
  const std::string_view text(message.payload.data(), message.payload.size());
  std::string name = KindOf(message.level, text);
  auto found = kinds_.find(name);
  if (found == kinds_.end()) {
    if (kinds_.size() >= limits_.kinds_max) EndWindows(/*all=*/false);
    if (kinds_.size() >= limits_.kinds_max) name.clear();
    found = kinds_.try_emplace(std::move(name)).first;
  }
  Kind& kind = found->second;
  const int64_t now = now_ms_();
  if (kind.lines > 0 && now - kind.since_ms >= limits_.window_ms) {
    End(kind);
    kind = Kind();
  }
  if (kind.lines == 0) kind.since_ms = now;
  if (++kind.lines <= limits_.lines_max) return out_->log(message);
  ++kind.held;
  kind.last = text.substr(0, kHeldBytesMax);
  kind.level = message.level;
}

void LogLimiter::flush_() {
  EndWindows(/*all=*/false);
  out_->flush();
}

void LogLimiter::End(const Kind& kind) {
  if (kind.held == 0) return;
  const std::string line = fmt::format("{} more like this in {} s, the last: {}", kind.held,
                                       (now_ms_() - kind.since_ms + 500) / 1000, kind.last);
  out_->log(spdlog::details::log_msg(spdlog::string_view_t(), kind.level, line));
}

void LogLimiter::EndWindows(bool all) {
  const int64_t now = now_ms_();
  std::erase_if(kinds_, [&](const auto& entry) {
    if (!all && now - entry.second.since_ms < limits_.window_ms) return false;
    End(entry.second);
    return true;
  });
}

}  // namespace merrow::server
