// What a data set is to the loader, and the random numbers of one sample.
#pragma once
#include <cstdint>
#include <string>

#include "tensor/kernels.h"
#include "tensor/philox.h"
#include "tensor/tensor.h"

namespace ar::io {

/// Which sample of a run this is: all that augmentation may depend on. `position` counts samples within the epoch.
struct SampleKey {
  uint64_t seed = 0, epoch = 0, position = 0;
};

/// Who draws, so that no two users share numbers.
enum class RandomStream : uint32_t { augmentation, replacement, shuffle, weighted, split, colour };

/// The random numbers of one key: counter-based (Philox), so they depend on the key alone, on no thread and no history.
class SampleRandom {
 public:
  explicit SampleRandom(const SampleKey& key, RandomStream stream = RandomStream::augmentation)
      : counter_{{0, uint32_t(stream), uint32_t(key.position), uint32_t(key.position >> 32)}} {
    const Philox4 k = philox4x32_10({{uint32_t(key.epoch), uint32_t(key.epoch >> 32), 0, 0}}, uint32_t(key.seed),
                                    uint32_t(key.seed >> 32));
    key_[0] = k.v[0];
    key_[1] = k.v[1];
  }
  uint32_t next() {
    if (left_ == 0) {
      block_ = philox4x32_10(counter_, key_[0], key_[1]);
      ++counter_.v[0];
      left_ = 4;
    }
    return block_.v[4 - left_--];
  }
  uint64_t next64() {
    const uint64_t high = next();
    return high << 32 | next();
  }
  /// U[0, 1), a multiple of 2^-53.
  double uniform() { return double(next64() >> 11) * 0x1p-53; }
  double uniform(double lo, double hi) { return lo + (hi - lo) * uniform(); }
  /// Uniform in [0, n), n > 0.
  int64_t below(int64_t n) {
    using Wide = unsigned __int128;
    return int64_t(Wide(next64()) * Wide(n) >> 64);
  }
  bool chance(double p) { return uniform() < p; }

 private:
  Philox4 counter_, block_{};
  uint32_t key_[2];
  int left_ = 0;
};

/// Samples of one shape with a label each. All functions are called from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  /// Of the bytes that fill() writes: (3,H,W) or (3,T,H,W).
  virtual Dims sample_shape() const = 0;
  /// Rows of a sample's memory begin at multiples of so many bytes; 0: they follow one another.
  virtual int64_t row_align() const { return 0; }
  virtual int64_t label(int64_t index) const = 0;
  /// What messages and reports call a sample: a path, for instance.
  virtual std::string name(int64_t index) const = 0;
  /// Writes one sample into `slot`, which is its place in the batch: u8 of sample_shape(), channel stride 1, pixel
  /// stride
  /// 3. Throws Error when the sample cannot be read; what the slot holds then does not matter.
  virtual void fill(int64_t index, const SampleKey& key, const Tensor& slot) const = 0;
  /// Where ops::normalize_frames is to cut this sample out, for data sets that leave that to it.
  virtual FrameWindow window(int64_t, const SampleKey&) const { return {}; }
};

}  // namespace ar::io
