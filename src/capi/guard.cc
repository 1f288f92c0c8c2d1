// SPDX-License-Identifier: Apache-2.0
#include "capi/guard.h"

#include <algorithm>
#include <cstring>

namespace merrow::capi {
namespace {

// How many bytes of `message` fit `room` without cutting a UTF-8 character in two.
size_t LengthToKeep(std::string_view message, size_t room) {
  if (message.size() <= room) return message.size();
  size_t length = room;
  while (length > 0 && (static_cast<unsigned char>(message[length]) & 0xC0) == 0x80) --length;
  return length;
}

merrow_status StatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return MERROW_INVALID_ARGUMENT;
    case ErrorCode::kCorruption:
      return MERROW_CORRUPTION;
    case ErrorCode::kUnsupported:
      return MERROW_UNSUPPORTED;
    case ErrorCode::kConflict:
      return MERROW_CONFLICT;
    case ErrorCode::kNotFound:
      return MERROW_NOT_FOUND;
    case ErrorCode::kLimit:
      return MERROW_LIMIT;
    case ErrorCode::kBusy:
      return MERROW_BUSY;
    case ErrorCode::kIo:
      return MERROW_IO;
    case ErrorCode::kCancelled:
      return MERROW_CANCELLED;
  }
  return MERROW_INVALID_ARGUMENT;
}

}  // namespace

merrow_status Fail(merrow_status status, std::string_view message, merrow_error* error) {
  if (error != nullptr) {
    error->status = status;
    const size_t length = LengthToKeep(message, sizeof(error->message) - 1);
    std::memcpy(error->message, message.data(), length);
    error->message[length] = '\0';
  }
  return status;
}

merrow_status Fail(const Error& cause, merrow_error* error) {
  return Fail(StatusOf(cause.code()), cause.message(), error);
}

}  // namespace merrow::capi
