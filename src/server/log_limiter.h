// SPDX-License-Identifier: Apache-2.0
//
// LogLimiter: keeps a fault that repeats from burying the log. Sits between spdlog and the sink
// that writes. Lines are of one kind if they have the same level and the same words (digits and
// hexadecimal names do not count). In each window the first lines of a kind are written, further
// ones counted, and at its end one line says how many there were and repeats the last of them. The
// levels `debug` and `trace` are not limited: whoever asks for those wants all.
//
// Invariant: every line that is handed in is written or part of a number that is.

#pragma once

#include <spdlog/sinks/base_sink.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace merrow::server {

struct LogLimits {
  int64_t window_ms = 10'000;
  uint64_t lines_max = 20;  // of one kind in a window
  size_t kinds_max = 1000;  // further ones share a count
};

class LogLimiter final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  using NowMs = std::function<int64_t()>;
  /// `now_ms` is a clock that only goes forward.
  LogLimiter(spdlog::sink_ptr out, NowMs now_ms, const LogLimits& limits = {});
  ~LogLimiter() override;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  /// Called every few seconds (spdlog::flush_every): ends windows that are over.
  void flush_() override;
  void set_pattern_(const std::string& pattern) override { out_->set_pattern(pattern); }
  void set_formatter_(std::unique_ptr<spdlog::formatter> formatter) override {
    out_->set_formatter(std::move(formatter));
  }

 private:
  struct Kind {
    int64_t since_ms = 0;
    uint64_t lines = 0;
    uint64_t held = 0;  // of them, not written
    std::string last;   // the latest of those
    spdlog::level::level_enum level = spdlog::level::off;
  };

  void End(const Kind& kind);
  void EndWindows(bool all);

  const spdlog::sink_ptr out_;
  const NowMs now_ms_;
  const LogLimits limits_;
  std::map<std::string, Kind, std::less<>> kinds_;
};

}  // namespace merrow::server
