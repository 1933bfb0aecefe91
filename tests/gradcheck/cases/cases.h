// The table behind the gradient-check tests and the program ar-gradcheck: a row per op and case.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "autograd/gradcheck.h"

namespace ar::gradcheck_cases {

/// What a row hands to gradcheck().
struct Problem {
  GradcheckFn f;
  std::vector<Variable> inputs;
  std::vector<Variable> parameters = {};
  GradcheckOptions options = {};
};

struct Case {
  std::string op, name;
  std::function<Problem()> make;
};

/// Where the table's tensors and modules lie; the CPU at first. To be set before all() is asked for.
void set_device(Device);
Device device();

/// All rows, in the order of the files.
const std::vector<Case>& all();

// ---- for the files of the table ----

/// Collects rows.
class Table {
 public:
  explicit Table(std::vector<Case>& cases) : cases_(cases) {}
  void operator()(const char* op, std::string name, std::function<Problem()> make) const {
    cases_.push_back({op, std::move(name), [make = std::move(make)] {
                        manual_seed(1);  // initial weights do not depend on the rows before
                        return make();
                      }});
  }

 private:
  std::vector<Case>& cases_;
};

void add_elementwise(const Table&);
void add_reduce(const Table&);
void add_max(const Table&);
void add_shape(const Table&);
void add_matmul(const Table&);
void add_linear(const Table&);
void add_loss(const Table&);
void add_conv(const Table&);
void add_pool(const Table&);
void add_norm(const Table&);
void add_fused(const Table&);
void add_sequence(const Table&);
void add_modules(const Table&);
void add_models(const Table&);

/// How a sample lies in memory.
enum class Memory {
  dense,           // channels last for ranks 4 and 5
  channels_first,  // row-major
  narrow,          // a range of a wider buffer's dimension 1 (0 in rank 1)
  transposed,      // dimensions reversed
  padded           // each row at a multiple of 64 bytes
};

/// A leaf in f64 whose values are spread evenly over [lo, hi) in a random order: no two are equal (nor, for equal
/// sizes, those of different seeds), and none is closer than 1e-5 to the multiples of a quarter of the range, where
/// kinks are.
Variable sample(const Dims& shape, Memory memory = Memory::dense, double lo = -2, double hi = 2, uint64_t seed = 0);
inline Variable sample(const Dims& shape, uint64_t seed, double lo = -2, double hi = 2) {
  return sample(shape, Memory::dense, lo, hi, seed);
}
/// The same without a gradient.
Variable constant(const Dims& shape, uint64_t seed = 0);

/// Shapes and memory orders that break things.
struct Form {
  const char* name;
  Dims shape;
  Memory memory = Memory::dense;
};
const std::vector<Form>& forms();

}  // namespace ar::gradcheck_cases
