// SPDX-License-Identifier: Apache-2.0
#include "server/log_limiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

namespace merrow::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LogLimiterTest : public testing::Test {
 protected:
  LogLimiterTest() {
    logger_.set_pattern("%l %v");
    logger_.set_level(spdlog::level::trace);
  }

  // What was written since the last call.
  std::vector<std::string> Lines() {
    std::vector<std::string> lines;
    std::istringstream text(out_.str());
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    out_.str("");
    return lines;
  }

  int64_t now_ms_ = 1000;
  std::ostringstream out_;
  spdlog::logger logger_{
      "test",
      std::make_shared<LogLimiter>(
          std::make_shared<spdlog::sinks::ostream_sink_mt>(out_), [this] { return now_ms_; },
          LogLimits{.window_ms = 10'000, .lines_max = 2, .kinds_max = 4})};
};

TEST_F(LogLimiterTest, WhatRepeatsIsCounted) {
  for (int i = 1; i <= 5; ++i) logger_.warn("session {}: note/{}: not joined", i, i * 100);
  logger_.warn("another matter");
  EXPECT_THAT(Lines(),
              ElementsAre("warning session 1: note/100: not joined",
                          "warning session 2: note/200: not joined", "warning another matter"));
  now_ms_ += 10'000;
  logger_.warn("session 6: note/x: not joined");
  EXPECT_THAT(Lines(), ElementsAre("warning session 6: note/x: not joined"));
}

TEST_F(LogLimiterTest, TheCountIsWrittenWhenTheWindowEnds) {
  for (int i = 1; i <= 5; ++i) logger_.error("apply of {} changesets", i);
  logger_.flush();
  EXPECT_THAT(Lines(), ElementsAre("error apply of 1 changesets", "error apply of 2 changesets"));
  now_ms_ += 10'000;
  logger_.flush();
  EXPECT_THAT(Lines(),
              ElementsAre("error 3 more like this in 10 s, the last: apply of 5 changesets"));
  logger_.flush();
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(LogLimiterTest, ANewWindowBeginsWithTheCountOfTheOldOne) {
  for (int i = 1; i <= 3; ++i) logger_.warn("busy {}", i);
  Lines();
  now_ms_ += 12'000;
  logger_.warn("busy 4");
  EXPECT_THAT(Lines(),
              ElementsAre("warning 1 more like this in 12 s, the last: busy 3", "warning busy 4"));
}

TEST_F(LogLimiterTest, NamesOfSitesAndLevelsTellNothingApartAndEverything) {
  logger_.info("link 1 to d44fa510: open");
  logger_.info("link 2 to deadbeef: open");
  logger_.info("link 3 to 12345678: open");
  logger_.warn("link 3 to 12345678: open");
  EXPECT_THAT(Lines(), ElementsAre("info link 1 to d44fa510: open", "info link 2 to deadbeef: open",
                                   "warning link 3 to 12345678: open"));
}

TEST_F(LogLimiterTest, DebugIsNotLimited) {
  for (int i = 0; i < 10; ++i) logger_.debug("again");
  EXPECT_EQ(Lines().size(), 10U);
}

TEST_F(LogLimiterTest, KindsAreBounded) {
  for (char c = 'a'; c < 'z'; ++c) logger_.warn("from {}", std::string(3, c));
  // Four kinds, and two lines of all others together.
  EXPECT_EQ(Lines().size(), 6U);
  now_ms_ += 10'000;
  logger_.flush();
  EXPECT_THAT(Lines(), ElementsAre("warning 19 more like this in 10 s, the last: from yyy"));
}

}  // namespace
}  // namespace merrow::server
