// Python's pickle format, reading and writing, for data alone. Nothing is executed: a global is a name and a call is a
// name with arguments, left to the caller to understand. The opcodes are those of protocol 2 and the plain ones of
// protocol 4 (Python's Lib/pickletools.py documents them).
#pragma once
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "io/byte_source.h"

namespace ar::io::pickle {

struct Node {
  enum class Kind { none, boolean, integer, big_integer, real, string, list, tuple, dict, global, call, persistent };
  Kind kind = Kind::none;
  union {
    bool boolean;
    int64_t integer = 0;
    double real;
    const Node* arguments;  // of a call: a tuple; of a persistent: its identifier
  };
  std::string text;                // a string; the digits of a big integer, as bytes; a global's or call's name
  std::vector<const Node*> items;  // elements; key, value, key, value, ... of a dictionary or of a call set up as one
};

/// The objects of a pickle. They may share parts and even hold themselves.
class Graph {
 public:
  /// Throws Error, starting with the source's name, on opcodes and globals ("module.name") that are not allowed, and on
  /// what is not a pickle. Stops behind the pickle's end.
  Graph(ByteStream& in, const std::set<std::string>& allowed_globals);
  const Node& root() const { return *root_; }
  /// All persistent references, in the order they came in.
  const std::vector<const Node*>& persistent() const { return persistent_; }

 private:
  friend class Machine;
  std::deque<Node> nodes_;
  std::vector<const Node*> persistent_;
  const Node* root_ = nullptr;
};

/// Writes a pickle of protocol 2, piece by piece.
class Writer {
 public:
  Writer() : out_("\x80\x02") {}
  void none() { out_ += 'N'; }
  void boolean(bool v) { out_ += v ? '\x88' : '\x89'; }
  void integer(int64_t v);
  void real(double v);
  /// Bytes that are not UTF-8 become lone surrogates, as Python's file names have them (PEP 383).
  void string(const std::string& v);
  void global(const std::string& module, const std::string& name);
  void mark() { out_ += '('; }
  void empty_list() { out_ += ']'; }
  void empty_dict() { out_ += '}'; }
  void empty_tuple() { out_ += ')'; }
  void appends() { out_ += 'e'; }   // mark, elements: into the list below
  void setitems() { out_ += 'u'; }  // mark, keys and values: into the dictionary below
  void tuple() { out_ += 't'; }     // mark, elements
  void persistent() { out_ += 'Q'; }
  void call() { out_ += 'R'; }
  std::string finish() && {
    out_ += '.';
    return std::move(out_);
  }

 private:
  void little(uint64_t v, int bytes);
  std::string out_;
};

}  // namespace ar::io::pickle
