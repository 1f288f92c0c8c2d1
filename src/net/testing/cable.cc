// SPDX-License-Identifier: Apache-2.0
//
// merrow-test-cable: a bad cable between two network namespaces, for tests on kernels without
// netem. It makes a TUN device in each and carries packets between the two: each waits for the
// delay and a random part of the jitter (so that packets overtake each other), and some are lost.
// One cable has one seed. Needs root.
//
// Says "ready" when both devices are there; they still need addresses and to be set up. Ends when
// its standard input does, and the devices with it.
//
// Usage: merrow-test-cable DEVICE NAMESPACE NAMESPACE DELAY_MS JITTER_MS LOSS_PERCENT SEED

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

// An IP packet is at most this long.
constexpr size_t kPacketBytesMax = 64 << 10;
// What a cable holds at once; more is lost, as in a full router.
constexpr size_t kPacketsMax = 10'000;

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "merrow-test-cable: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

// A TUN device in the namespace that `ip netns` knows as `name`. Enters that namespace.
int OpenDevice(const std::string& device, const std::string& name) {
  const std::string path = "/var/run/netns/" + name;
  const int space = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET) != 0) {
    Fail(path);
  }
  close(space);
  const int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request = {};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  device.copy(request.ifr_name, sizeof(request.ifr_name) - 1);
  if (descriptor < 0 || ioctl(descriptor, TUNSETIFF, &request) != 0) {
    Fail("/dev/net/tun");
  }
  return descriptor;
}

struct Quality {
  microseconds delay;
  microseconds jitter;
  double loss;  // 0 to 1
};

class Cable {
 public:
  Cable(std::array<int, 2> ends, const Quality& quality, uint64_t seed)
      : ends_(ends), quality_(quality), random_(seed) {}

  /// Returns at the end of standard input.
  void Run() {
    for (;;) {
      std::array<pollfd, 3> waits = {
          {{STDIN_FILENO, POLLIN, 0}, {ends_[0], POLLIN, 0}, {ends_[1], POLLIN, 0}}};
      if (poll(waits.data(), waits.size(), DeliverDue()) < 0 && errno != EINTR) {
        Fail("poll");
      }
      if (waits[0].revents != 0) {
        return;
      }
      for (size_t i = 0; i < ends_.size(); ++i) {
        // A device that is down reports an error until it is up again; there is nothing to read.
        if ((waits[i + 1].revents & POLLIN) != 0) {
          Receive(i);
        }
      }
    }
  }

 private:
  struct Packet {
    int to;
    std::string bytes;
  };

  void Receive(size_t from) {
    for (;;) {
      const ssize_t size = read(ends_[from], buffer_.data(), buffer_.size());
      if (size <= 0) {
        return;
      }
      const bool is_lost = std::uniform_real_distribution<>(0, 1)(random_) < quality_.loss;
      if (is_lost || on_the_way_.size() == kPacketsMax) {
        continue;
      }
      const auto jitter =
          microseconds(std::uniform_int_distribution<int64_t>(0, quality_.jitter.count())(random_));
      on_the_way_.emplace(
          Clock::now() + quality_.delay + jitter,
          Packet{ends_[1 - from], std::string(buffer_.data(), static_cast<size_t>(size))});
    }
  }

  // Writes what is due. Returns how long to wait for the next, in milliseconds; -1: nothing is on
  // the way.
  int DeliverDue() {
    while (!on_the_way_.empty()) {
      const auto next = on_the_way_.begin();
      const auto wait = next->first - Clock::now();
      if (wait > Clock::duration::zero()) {
        return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count());
      }
      const Packet& packet = next->second;
      // What cannot be written is lost: the device is down.
      [[maybe_unused]] const ssize_t written =
          write(packet.to, packet.bytes.data(), packet.bytes.size());
      on_the_way_.erase(next);
    }
    return -1;
  }

  const std::array<int, 2> ends_;
  const Quality quality_;
  std::mt19937_64 random_;
  std::multimap<Clock::time_point, Packet> on_the_way_;
  std::array<char, kPacketBytesMax> buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(stderr,
                 "usage: merrow-test-cable DEVICE NAMESPACE NAMESPACE DELAY_MS JITTER_MS "
                 "LOSS_PERCENT SEED\n");
    return 2;
  }
  const auto number = [&](int i) { return std::strtod(argv[i], nullptr); };
  const auto milliseconds = [&](int i) { return microseconds(std::llround(number(i) * 1000)); };
  const std::array<int, 2> ends = {OpenDevice(argv[1], argv[2]), OpenDevice(argv[1], argv[3])};
  Cable cable(ends, {.delay = milliseconds(4), .jitter = milliseconds(5), .loss = number(6) / 100},
              std::strtoull(argv[7], nullptr, 10));
  std::puts("ready");
  std::fflush(stdout);
  cable.Run();
  return 0;
}
