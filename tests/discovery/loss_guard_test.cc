#include "discovery/loss_guard.h"

#include <gtest/gtest.h>

namespace lotse::discovery {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{Duration(1000s)};

TEST(LossGuard, LetsHalfOfTheEndpointsGo) {
  EXPECT_TRUE(LossGuard({}).allows(50, 100, kStart));
  EXPECT_FALSE(LossGuard({}).allows(51, 100, kStart));
}

TEST(LossGuard, AlwaysLetsFourGo) {
  EXPECT_TRUE(LossGuard({}).allows(4, 4, kStart));
  EXPECT_FALSE(LossGuard({}).allows(5, 5, kStart));
}

TEST(LossGuard, CountsTheLossesOfTheWindowTogether) {
  LossGuard guard({});
  EXPECT_TRUE(guard.allows(30, 100, kStart));
  EXPECT_TRUE(guard.allows(20, 70, kStart + 5s));
  EXPECT_FALSE(guard.allows(1, 50, kStart + 9s));
  EXPECT_TRUE(guard.allows(1, 50, kStart + 20s));
}

TEST(LossGuard, WhatWasHeldCountsToo) {
  LossGuard guard({});
  EXPECT_FALSE(guard.allows(90, 100, kStart));
  EXPECT_FALSE(guard.allows(1, 100, kStart + 1s));
  EXPECT_TRUE(guard.allows(1, 100, kStart + 11s));
}

TEST(LossGuard, AHundredPercentTurnsItOff) {
  EXPECT_TRUE(LossGuard({.max_removal_percent = 100}).allows(100, 100, kStart));
}

}  // namespace
}  // namespace lotse::discovery
