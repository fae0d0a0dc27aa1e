#include "base/random.h"

#include <sys/random.h>

#include <array>

#include "base/check.h"

namespace lotse {
namespace {

std::uint64_t rotate_left(std::uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }

std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed) {
  for (auto& word : state_) word = split_mix(seed);
}

Random Random::from_system() {
  std::uint64_t seed = 0;
  CHECK(getrandom(&seed, sizeof seed, 0) == static_cast<ssize_t>(sizeof seed));
  return Random(seed);
}

std::uint64_t Random::next() {
  std::uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

std::uint64_t Random::below(std::uint64_t bound) {
  std::uint64_t threshold = (0 - bound) % bound;  // rejecting below it makes every remainder equally likely
  for (;;) {
    std::uint64_t x = next();
    if (x >= threshold) return x % bound;
  }
}

double Random::unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

std::string make_uuid(Random& random) {
  std::array<std::uint64_t, 2> words{random.next(), random.next()};
  words[0] = (words[0] & ~0xf000ull) | 0x4000ull;
  words[1] = (words[1] & ~(3ull << 62)) | (2ull << 62);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (int nibble = 0; nibble < 32; ++nibble) {
    if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) text += '-';
    text += kHex[(words[nibble / 16] >> (60 - 4 * (nibble % 16))) & 15];
  }
  return text;
}

}  // namespace lotse
