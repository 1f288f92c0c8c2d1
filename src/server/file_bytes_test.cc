// SPDX-License-Identifier: Apache-2.0
#include "server/file_bytes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "server/server_test_util.h"

namespace merrow::server {
namespace {

TEST(FileBytesTest, TellsWhetherOthersMayRead) {
  const TempDir dir;
  dir.Write("secret", "s");
  const std::string path = dir.File("secret");
  const std::pair<mode_t, bool> modes[] = {{0600, false}, {0400, false}, {0640, true},
                                           {0604, true},  {0644, true},  {0620, false}};
  for (const auto& [mode, may_read] : modes) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_EQ(OthersMayRead(path), may_read) << std::oct << mode;
  }
  EXPECT_FALSE(OthersMayRead(dir.File("absent")));
}

}  // namespace
}  // namespace merrow::server
