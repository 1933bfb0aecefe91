// What a device offers to record work once and to repeat it: the part of a backend behind nn/step_graph.h.
#pragma once

namespace ar {

struct Graphs {
  /// From here on, work that this process asks the device for is recorded and not done, and memory that is taken
  /// belongs to the graph. The host may neither wait for the device nor copy to or from it: such calls throw Error.
  void (*begin)() = nullptr;
  /// The recorded work; its memory is kept for it until destroy(). Throws Error when it cannot be repeated.
  void* (*end)() = nullptr;
  /// Forgets what was recorded, after an error.
  void (*abandon)() = nullptr;
  /// Does the work again, behind all that was asked for before.
  void (*launch)(void* graph) = nullptr;
  void (*destroy)(void* graph) = nullptr;
};

}  // namespace ar
