// SPDX-License-Identifier: Apache-2.0
#include "server/log_format.h"

#include <spdlog/pattern_formatter.h>

#include <utility>

#include "base/bytes.h"

namespace merrow::server {
namespace {

constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %*";

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

// U+0080 to U+009F are controls, too; in UTF-8 they are C2 and one byte more.
bool IsC1(std::string_view text, size_t at) {
  return text[at] == '\xC2' && at + 1 < text.size() && static_cast<uint8_t>(text[at + 1]) < 0xA0;
}

class TextFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text = LogText({message.payload.data(), message.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<TextFlag>();
  }
};

}  // namespace

std::string LogText(std::string_view text) {
  const bool is_cut = text.size() > kLogTextBytesMax;
  if (is_cut) {
    size_t size = kLogTextBytesMax;
    while (size > 0 && IsContinuation(text[size])) --size;
    text = text.substr(0, size);
  }
  const bool is_utf8 = IsUtf8(text);
  std::string shown;
  shown.reserve(text.size() + 3);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const bool is_control = byte < 0x20 || byte == 0x7F || IsC1(text, i);
    if (byte == 0xC2 && is_control) ++i;
    shown.push_back(is_control || (byte >= 0x80 && !is_utf8) ? '?' : static_cast<char>(byte));
  }
  if (is_cut) shown += "...";
  return shown;
}

std::unique_ptr<spdlog::formatter> MakeLogFormatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<TextFlag>('*').set_pattern(kPattern);
  return formatter;
}

}  // namespace merrow::server
