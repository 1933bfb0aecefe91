// Copies to the device from host memory that is not page-locked. CUDA may read such memory after the call has returned
// (where the device reads pageable memory itself), so that the numbers travel by page-locked pieces of our own.
#pragma once
#include <array>
#include <cstddef>
#include <mutex>

#include "cuda/context.h"

namespace ar::cuda {

class Staging {
 public:
  /// Queued on stream(); the host's memory may be changed as soon as this returns. Waits when all pieces are on their
  /// way.
  void upload(void* device, const void* host, int64_t bytes);

 private:
  static constexpr int64_t kPieceBytes = 256 << 10;
  struct Piece {
    void* memory = nullptr;
    gpu::Event copied;
  };
  std::mutex mutex_;
  std::array<Piece, 16> pieces_;
  std::size_t next_ = 0;
};

/// The one of this process; never destroyed, as its copies may be under way to the end.
Staging& staging();

}  // namespace ar::cuda
