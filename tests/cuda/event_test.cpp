// Copies beside computation: what waits for what. With AR_EMULATION_DEFERRED=1 a queue's work is done as late as it may
// be, so that a missing wait shows.
#include "tensor/event.h"

#include "ar.h"
#include "tests/cuda/both.h"
#include "tests/errors.h"

namespace ar::testing {
namespace {

bool deferred() {
  const char* const value = std::getenv("AR_EMULATION_DEFERRED");
  return value && std::string(value) == "1";
}

Tensor pinned(const std::vector<float>& values) {
  const Tensor x = empty_pinned({int64_t(values.size())}, {}, kCuda);
  x.copy_from(from_vector(values, {int64_t(values.size())}));
  return x;
}

TEST(CudaEvents, WithoutOneACopyAsideMayNotBeThere) {
  AR_NEEDS_CUDA();
  const Tensor x = pinned({1, 2, 3});
  const auto arrived = [&](bool wait) {
    const Tensor y = zeros({3}, {.device = kCuda});
    Event cleared(kCuda), copied(kCuda);
    cleared.record();
    cleared.hold_up(Queue::copies);
    backend(kCuda).copy(y.writable().data, x.view().data, 12, Queue::copies);
    copied.record(Queue::copies);
    if (wait) copied.hold_up(Queue::compute);
    const std::vector<double> values = y.to_vector<double>();
    copied.synchronize();
    return values;
  };
  EXPECT_EQ(arrived(true), (std::vector<double>{1, 2, 3}));
  if (deferred()) {
    EXPECT_EQ(arrived(false), (std::vector<double>{0, 0, 0}));
  }
}

TEST(CudaEvents, TimeLiesBetween) {
  for (const Device device : {Device{}, kCuda}) {
    if (!device.is_cpu()) AR_NEEDS_CUDA();
    Event begin(device), end(device);
    begin.record();
    const Tensor x = zeros({1000}, {.device = device});
    end.record();
    end.synchronize();
    EXPECT_GE(Event::milliseconds(begin, end), 0);
    EXPECT_LT(Event::milliseconds(begin, end), 10'000);
  }
}

TEST(CudaUploads, EachBatchArrivesAndNoneIsWrittenOverTooEarly) {
  AR_NEEDS_CUDA();
  Uploader uploader(kCuda);
  Tensor host = pinned({0, 0, 0, 0});
  std::vector<Tensor> results;
  for (int i = 0; i < 7; ++i) {
    uploader.settle();  // host is free again
    host.fill(i);
    const Tensor there = uploader.upload(host);
    EXPECT_EQ(there.device(), kCuda);
    results.push_back(ops::affine(there, 10, 1));
  }
  for (int i = 0; i < 7; ++i)
    EXPECT_EQ(results[size_t(i)].to_vector<double>(), std::vector<double>(4, 10 * i + 1)) << i;
}

TEST(CudaUploads, RowsWithPaddingGoAsTheyLie) {
  AR_NEEDS_CUDA();
  const Tensor x = empty_pinned({2, 3, 5, 7}, {.dtype = Dtype::u8, .row_align = 64}, kCuda);
  x.copy_from(randint(255, {2, 3, 5, 7}).to(Dtype::u8));
  Uploader uploader(kCuda);
  const Tensor part = x.narrow(0, 1, 1), there = uploader.upload(part);
  EXPECT_EQ(there.strides(), part.strides());
  EXPECT_EQ(there.to_vector<double>(), part.to_vector<double>());
  EXPECT_MESSAGE(uploader.upload(Tensor()), "upload: from the CPU to cuda:0 only");
  const Tensor larger = uploader.upload(x);
  EXPECT_EQ(larger.to_vector<double>(), x.to_vector<double>());
}

TEST(CudaDownloads, ArriveWithoutWaitingForLaterWork) {
  AR_NEEDS_CUDA();
  std::vector<Download> downloads;
  Tensor x = zeros({3}, {.device = kCuda});
  for (int i = 0; i < 5; ++i) {
    downloads.emplace_back(x);
    x.fill(i + 1);
  }
  downloads.emplace_back(ones({2, 3}, {.device = kCuda}).transpose(0, 1));
  for (int i = 4; i >= 0; --i)
    EXPECT_EQ(downloads[size_t(i)].wait().to_vector<double>(), std::vector<double>(3, i)) << i;
  EXPECT_EQ(downloads.back().wait().shape(), (Dims{3, 2}));
  Download replaced(x);
  replaced = Download(zeros({3}));
  EXPECT_EQ(replaced.wait().to_vector<double>(), std::vector<double>(3, 0));
  Download never_waited_for(x);
}

}  // namespace
}  // namespace ar::testing
