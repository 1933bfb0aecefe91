// Memory that steps of training take again and again.
#include <gtest/gtest.h>

#include "tensor/backend.h"
#include "tensor/tensor.h"

using namespace ar;

namespace {

TEST(Memory, FreedBlocksAreTakenAgain) {
  empty_cache();
  for (int64_t bytes : {100 << 10, 3 << 20, 5 << 20, 9 << 20}) {  // 5 and 9 MB are rounded up by a fifth
    const void* first = empty({bytes / 4}).data<float>();
    EXPECT_EQ(empty({bytes / 4}).data<float>(), first) << bytes;
  }
  empty_cache();
  EXPECT_EQ(memory_stats().cached, 0);
}

}  // namespace
