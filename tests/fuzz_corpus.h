// The corpus of a fuzz target, for the tests that replay it without libFuzzer.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace lotse {

using FuzzTarget = int (*)(const std::uint8_t* data, std::size_t size);

struct FuzzInput {
  std::string file, bytes;
};

inline std::vector<FuzzInput> corpus_in(const std::string& folder) {
  std::vector<FuzzInput> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.push_back({entry.path().filename().string(), {std::istreambuf_iterator<char>(file), {}}});
  }
  return inputs;
}

// The whole of each input and every beginning of it: a cheap way to meet each state at the end of input.
inline void replay_corpus(const std::string& folder, FuzzTarget target, std::size_t inputs_least) {
  const auto inputs = corpus_in(folder);
  EXPECT_GE(inputs.size(), inputs_least);
  for (const auto& [file, bytes] : inputs) {
    SCOPED_TRACE(file);
    for (std::size_t size = 0; size <= bytes.size(); ++size)
      EXPECT_EQ(target(reinterpret_cast<const std::uint8_t*>(bytes.data()), size), 0);
  }
}

}  // namespace lotse
