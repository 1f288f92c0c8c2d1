// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value or an Error, for everything that can fail because of the world outside
// (input, disk, peers). Broken invariants are not errors; they end the process (check.h).
//
// An Error has a code, one per action that a caller can take, and a message for the person who
// reads the log: lower case, with the offending value and where it was found.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "merrow/check.h"

#pragma GCC visibility push(default)

namespace merrow {

enum class ErrorCode : unsigned char {
  kInvalidArgument,  // the caller asked for something that makes no sense; fix the call
  kCorruption,       // bytes that do not decode; keep them aside, do not retry
  kUnsupported,      // well-formed, from a newer or other version; upgrade
  kConflict,         // contradicts what is known already; resynchronise
  kNotFound,         // the named thing does not exist
  kLimit,            // a named limit was reached; ask for less
  kBusy,             // try again later
  kIo,               // disk or network failed; retry or fail over
  kCancelled,        // the caller gave up or the process is stopping
};

/// The code's name in snake_case, as it appears in logs and in JSON errors.
std::string_view ErrorCodeName(ErrorCode code);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  /// The same error with `where: ` in front of its message.
  Error Within(std::string_view where) const;

  /// "code: message", for logs.
  std::string ToString() const;

 private:
  ErrorCode code_;
  std::string message_;
};

inline Error InvalidArgument(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}
inline Error Corruption(std::string message) {
  return {ErrorCode::kCorruption, std::move(message)};
}
inline Error Unsupported(std::string message) {
  return {ErrorCode::kUnsupported, std::move(message)};
}
inline Error Conflict(std::string message) { return {ErrorCode::kConflict, std::move(message)}; }
inline Error NotFound(std::string message) { return {ErrorCode::kNotFound, std::move(message)}; }
inline Error LimitReached(std::string message) { return {ErrorCode::kLimit, std::move(message)}; }
inline Error Busy(std::string message) { return {ErrorCode::kBusy, std::move(message)}; }
inline Error IoError(std::string message) { return {ErrorCode::kIo, std::move(message)}; }
inline Error Cancelled(std::string message) { return {ErrorCode::kCancelled, std::move(message)}; }

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// REQUIRES: ok()
  T& value() & { return Get(); }
  const T& value() const& { return const_cast<Result*>(this)->Get(); }
  T&& value() && { return std::move(Get()); }
  T& operator*() & { return Get(); }
  const T& operator*() const& { return const_cast<Result*>(this)->Get(); }
  T&& operator*() && { return std::move(Get()); }
  T* operator->() { return &Get(); }
  const T* operator->() const { return &const_cast<Result*>(this)->Get(); }

  /// REQUIRES: !ok()
  const Error& error() const {
    MERROW_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  T& Get() {
    MERROW_CHECK(ok());
    return *std::get_if<0>(&state_);
  }

  std::variant<T, Error> state_;
};

/// Result of something that has no value: OK or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }

  /// REQUIRES: !ok()
  const Error& error() const {
    MERROW_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace merrow

#pragma GCC visibility pop

#define MERROW_CONCAT_INNER(a, b) a##b
#define MERROW_CONCAT(a, b) MERROW_CONCAT_INNER(a, b)

/// Returns the error of `expression` (a Result) from the enclosing function, if it has one.
#define MERROW_TRY(expression)               \
  do {                                       \
    auto&& merrow_try_result = (expression); \
    if (!merrow_try_result.ok()) {           \
      return merrow_try_result.error();      \
    }                                        \
  } while (false)

/// `MERROW_ASSIGN(auto x, F())`: x is F()'s value, or the enclosing function returns F()'s error.
#define MERROW_ASSIGN(declaration, expression) \
  MERROW_ASSIGN_INNER(MERROW_CONCAT(merrow_result_, __LINE__), declaration, expression)
#define MERROW_ASSIGN_INNER(result, declaration, expression) \
  auto result = (expression);                                \
  if (!result.ok()) {                                        \
    return result.error();                                   \
  }                                                          \
  declaration = std::move(result).value()
