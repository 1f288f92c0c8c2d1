// SPDX-License-Identifier: Apache-2.0
//
// What every C function passes through: results become status codes and messages, and nothing that
// the standard library throws reaches the caller.

#pragma once

#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include "merrow.h"
#include "merrow/result.h"

namespace merrow::capi {

/// Fills `error`, if there is one.
merrow_status Fail(merrow_status status, std::string_view message, merrow_error* error);
merrow_status Fail(const Error& cause, merrow_error* error);

/// Runs `body`, which returns a Status.
template <typename Body>
merrow_status Guard(merrow_error* error, Body&& body) {
  try {
    const Status status = std::forward<Body>(body)();
    return status.ok() ? MERROW_OK : Fail(status.error(), error);
  } catch (const std::bad_alloc&) {
    return Fail(MERROW_NO_MEMORY, "out of memory", error);
  } catch (const std::exception& thrown) {
    return Fail(MERROW_LIMIT, thrown.what(), error);
  }
}

}  // namespace merrow::capi
