// SPDX-License-Identifier: Apache-2.0
#include "cells/stored_key.h"

#include <array>
#include <cstdint>

namespace merrow::cells {
namespace {

constexpr size_t kUuidBytes = 16;
constexpr size_t kUuidCharacters = 36;
/// One column, a text whose length takes one byte, and that length.
constexpr std::string_view kUuidHead("\x01\x0b\x24", 3);

constexpr uint8_t kNoDigit = 0xFF;

constexpr std::array<uint8_t, 256> MakeDigits() {
  std::array<uint8_t, 256> digits = {};
  for (uint8_t& digit : digits) {
    digit = kNoDigit;
  }
  for (uint8_t i = 0; i < 10; ++i) {
    digits[static_cast<size_t>('0') + i] = i;
  }
  for (uint8_t i = 0; i < 6; ++i) {
    digits[static_cast<size_t>('a') + i] = static_cast<uint8_t>(10 + i);
  }
  return digits;
}
constexpr std::array<uint8_t, 256> kDigits = MakeDigits();

/// A dash stands before these bytes of the UUID.
constexpr bool HasDashBefore(size_t byte) {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

bool ParseUuid(BytesView text, std::array<char, kUuidBytes>& uuid) {
  size_t at = 0;
  for (size_t i = 0; i < kUuidBytes; ++i) {
    if (HasDashBefore(i) && text[at++] != '-') {
      return false;
    }
    const uint8_t high = kDigits[static_cast<unsigned char>(text[at])];
    const uint8_t low = kDigits[static_cast<unsigned char>(text[at + 1])];
    if ((high | low) == kNoDigit) {
      return false;
    }
    uuid[i] = static_cast<char>(static_cast<unsigned char>(high << 4 | low));
    at += 2;
  }
  return true;
}

}  // namespace

void AppendStoredKey(BytesView packed, Bytes& out) {
  std::array<char, kUuidBytes> uuid;
  if (packed.size() == kUuidHead.size() + kUuidCharacters && packed.starts_with(kUuidHead) &&
      ParseUuid(packed.substr(kUuidHead.size()), uuid)) {
    out.push_back('\0');
    out.append(uuid.data(), uuid.size());
    return;
  }
  out.append(packed);
}

bool IsStoredKey(BytesView stored) {
  return stored.empty() || stored[0] != '\0' || stored.size() == 1 + kUuidBytes;
}

Status AppendPackedKey(BytesView stored, Bytes& out) {
  if (stored.empty() || stored[0] != '\0') {
    out.append(stored);
    return {};
  }
  if (!IsStoredKey(stored)) {
    return Corruption("stored key: a UUID of " + std::to_string(stored.size() - 1) + " bytes");
  }
  constexpr char kHex[] = "0123456789abcdef";
  std::array<char, kUuidCharacters> text;
  size_t at = 0;
  for (size_t i = 0; i < kUuidBytes; ++i) {
    if (HasDashBefore(i)) {
      text[at++] = '-';
    }
    const auto byte = static_cast<unsigned char>(stored[1 + i]);
    text[at++] = kHex[byte >> 4];
    text[at++] = kHex[byte & 15];
  }
  out.append(kUuidHead);
  out.append(text.data(), text.size());
  return {};
}

}  // namespace merrow::cells
