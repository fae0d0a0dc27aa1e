// Chance as an argument: one seedable stream (xoshiro256**), the same on every machine. Not for secrets.
#pragma once

#include <cstdint>
#include <string>

namespace lotse {

class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed);
  static Random from_system();  // seeded by getrandom(2)

  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound);  // 0 <= x < bound, unbiased; bound > 0
  double unit();                             // 0 <= x < 1

  // UniformRandomBitGenerator, for <algorithm>.
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return next(); }

 private:
  std::uint64_t state_[4];
};

std::string make_uuid(Random& random);  // version 4, lower case, with hyphens

}  // namespace lotse
