#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/allocator.h"

namespace ar::cuda {

void Staging::upload(void* device, const void* host, int64_t bytes) {
  char* to = static_cast<char*>(device);
  const char* from = static_cast<const char*>(host);
  std::lock_guard lock(mutex_);
  for (int64_t left = bytes; left > 0; left -= kPieceBytes, to += kPieceBytes, from += kPieceBytes) {
    Piece& piece = pieces_[next_++ % pieces_.size()];
    if (piece.memory)
      gpu::synchronize(piece.copied);
    else
      piece = {pinned_memory().allocate(kPieceBytes), gpu::create_event()};
    const std::size_t part = std::size_t(std::min(left, kPieceBytes));
    std::memcpy(piece.memory, from, part);
    gpu::copy(to, piece.memory, part, stream());
    gpu::record(piece.copied, stream());
  }
}

Staging& staging() {
  static Staging* const instance = new Staging;
  return *instance;
}

}  // namespace ar::cuda
