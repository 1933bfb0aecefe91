#include "io/pickle.h"

#include <bit>
#include <cstdio>
#include <unordered_map>

#include "io/utf8.h"

namespace ar::io::pickle {
namespace {

constexpr size_t kMostObjects = size_t(1) << 23;
constexpr int64_t kLongestName = 256;
using Kind = Node::Kind;

/// Names of opcodes that a pickle may have and a checkpoint need not.
const char* refused_opcode(uint8_t code) {
  switch (code) {
    case 'i':
      return "INST";
    case 'o':
      return "OBJ";
    case 'P':
      return "PERSID";
    case 0x82:
    case 0x83:
    case 0x84:
      return "EXT";
    case 0x92:
      return "NEWOBJ_EX";
    case 'B':
    case 'C':
    case 0x8e:
    case 0x96:
      return "BYTES";
    default:
      return "unknown";
  }
}

}  // namespace

/// The stack machine that a pickle is a program for.
class Machine {
 public:
  Machine(Graph& graph, ByteStream& in, const std::set<std::string>& allowed)
      : graph_(graph), in_(in), allowed_(allowed) {}

  void run() {
    while (step(in_.byte())) {
    }
  }

 private:
  template <class... Parts>
  [[noreturn]] void error(const Parts&... parts) const {
    in_.source().error(parts...);
  }

  Node& make(Kind kind) {
    if (graph_.nodes_.size() >= kMostObjects) error("holds more than ", kMostObjects, " objects");
    Node& node = graph_.nodes_.emplace_back();
    node.kind = kind;
    stack_.push_back(&node);
    return node;
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Node* top() {
    if (stack_.size() <= floor()) error("is damaged: its pickle takes more than it has");
    return stack_.back();
  }
  Node* pop() {
    Node* node = top();
    stack_.pop_back();
    return node;
  }
  /// What lies above the last mark; both are taken off.
  std::vector<const Node*> pop_mark() {
    if (marks_.empty()) error("is damaged: its pickle has no mark");
    std::vector<const Node*> taken(stack_.begin() + int64_t(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return taken;
  }

  void integer(int64_t v) { make(Kind::integer).integer = v; }
  void boolean(bool v) { make(Kind::boolean).boolean = v; }
  void string(uint64_t bytes) {
    if (bytes > uint64_t(in_.left())) error("is damaged or cut short: a string of ", bytes, " bytes");
    make(Kind::string).text = bytes_of_surrogates(in_.take(int64_t(bytes)));
  }
  /// Two's complement, little endian.
  void long_integer(uint64_t bytes) {
    if (bytes > 255) error("holds an integer of ", bytes, " bytes");
    const std::string digits = in_.take(int64_t(bytes));
    if (bytes > 8) {
      make(Kind::big_integer).text = digits;
      return;
    }
    const bool negative = bytes > 0 && (uint8_t(digits.back()) & 0x80);
    uint64_t v = negative ? ~uint64_t(0) : 0;
    for (size_t i = digits.size(); i-- > 0;) v = v << 8 | uint8_t(digits[i]);
    integer(int64_t(v));
  }
  void tuple(size_t n) {
    std::vector<const Node*> items(n);
    while (n-- > 0) items[n] = pop();
    make(Kind::tuple).items = std::move(items);
  }
  void global(const std::string& module, const std::string& name) {
    const std::string path = module + '.' + name;
    if (!allowed_.contains(path)) error(printable(path), " is not allowed in a checkpoint (nothing was run)");
    make(Kind::global).text = path;
  }
  void call() {
    const Node* arguments = pop();
    const Node* callee = pop();
    if (callee->kind != Kind::global || arguments->kind != Kind::tuple) error("is damaged: a call of what is no name");
    Node& node = make(Kind::call);
    node.text = callee->text;
    node.arguments = arguments;
  }
  void append(const std::vector<const Node*>& items) {
    Node* list = top();
    if (list->kind != Kind::list) error("is damaged: an append to what is no list");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<const Node*>& items) {
    Node* dict = top();
    if ((dict->kind != Kind::dict && dict->kind != Kind::call) || items.size() % 2 != 0)
      error("is damaged: entries for what is no dictionary");
    dict->items.insert(dict->items.end(), items.begin(), items.end());
  }
  void put(uint64_t index) { memo_[index] = top(); }
  void get(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) error("is damaged: its pickle refers to an object it has not");
    stack_.push_back(found->second);
  }

  bool step(uint8_t code);

  Graph& graph_;
  ByteStream& in_;
  const std::set<std::string>& allowed_;
  std::vector<Node*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Node*> memo_;
};

bool Machine::step(uint8_t code) {
  switch (code) {
    case 0x80:  // PROTO
      if (const int protocol = in_.byte(); protocol < 2 || protocol > 5) error("has a pickle of protocol ", protocol);
      break;
    case 0x95:  // FRAME: how much may be read ahead
      in_.number(8);
      break;
    case '.':  // STOP
      if (!marks_.empty()) error("is damaged: its pickle ends too early");
      graph_.root_ = pop();
      return false;
    case '(':
      marks_.push_back(stack_.size());
      break;
    case '0':  // POP
      if (!marks_.empty() && marks_.back() == stack_.size())
        marks_.pop_back();
      else
        pop();
      break;
    case '1':  // POP_MARK
      pop_mark();
      break;
    case '2':  // DUP
      stack_.push_back(top());
      break;
    case 'N':
      make(Kind::none);
      break;
    case 0x88:
    case 0x89:
      boolean(code == 0x88);
      break;
    case 'J':  // BININT
      integer(int32_t(in_.number(4)));
      break;
    case 'K':  // BININT1
      integer(int64_t(in_.number(1)));
      break;
    case 'M':  // BININT2
      integer(int64_t(in_.number(2)));
      break;
    case 0x8a:  // LONG1
      long_integer(in_.number(1));
      break;
    case 0x8b:  // LONG4
      long_integer(in_.number(4));
      break;
    case 'G': {  // BINFLOAT, big endian
      uint64_t bits = 0;
      for (int i = 0; i < 8; ++i) bits = bits << 8 | in_.byte();
      make(Kind::real).real = std::bit_cast<double>(bits);
      break;
    }
    case 'U':   // SHORT_BINSTRING
    case 0x8c:  // SHORT_BINUNICODE
      string(in_.number(1));
      break;
    case 'T':  // BINSTRING
    case 'X':  // BINUNICODE
      string(in_.number(4));
      break;
    case 0x8d:  // BINUNICODE8
      string(in_.number(8));
      break;
    case ']':
    case 0x8f:  // EMPTY_SET
      make(Kind::list);
      break;
    case 'l': {  // LIST
      auto items = pop_mark();
      make(Kind::list).items = std::move(items);
      break;
    }
    case 'a': {  // APPEND
      const Node* item = pop();
      append({item});
      break;
    }
    case 'e':   // APPENDS
    case 0x90:  // ADDITEMS
      append(pop_mark());
      break;
    case '}':
      make(Kind::dict);
      break;
    case 'd': {  // DICT
      const auto items = pop_mark();
      make(Kind::dict);
      set_items(items);
      break;
    }
    case 's': {  // SETITEM
      const Node* value = pop();
      const Node* key = pop();
      set_items({key, value});
      break;
    }
    case 'u':  // SETITEMS
      set_items(pop_mark());
      break;
    case ')':
      make(Kind::tuple);
      break;
    case 't': {  // TUPLE
      auto items = pop_mark();
      make(Kind::tuple).items = std::move(items);
      break;
    }
    case 0x85:
    case 0x86:
    case 0x87:
      tuple(code - 0x84);
      break;
    case 'c': {  // GLOBAL
      const std::string module = in_.line(kLongestName);
      global(module, in_.line(kLongestName));
      break;
    }
    case 0x93: {  // STACK_GLOBAL
      const Node* name = pop();
      const Node* module = pop();
      if (name->kind != Kind::string || module->kind != Kind::string) error("is damaged: a global without a name");
      global(module->text, name->text);
      break;
    }
    case 'R':   // REDUCE
    case 0x81:  // NEWOBJ
      call();
      break;
    case 'b':  // BUILD: the attributes of an object, which a state has no use for
      pop();
      if (top()->kind != Kind::call) error("is damaged: attributes for what is no object");
      break;
    case 'Q': {  // BINPERSID
      const Node* id = pop();
      Node& node = make(Kind::persistent);
      node.arguments = id;
      graph_.persistent_.push_back(&node);
      break;
    }
    case 'q':  // BINPUT
      put(in_.number(1));
      break;
    case 'r':  // LONG_BINPUT
      put(in_.number(4));
      break;
    case 0x94:  // MEMOIZE
      put(memo_.size());
      break;
    case 'h':  // BINGET
      get(in_.number(1));
      break;
    case 'j':  // LONG_BINGET
      get(in_.number(4));
      break;
    default: {
      char hex[8];
      std::snprintf(hex, sizeof hex, "0x%02x", code);
      error("pickle opcode ", hex, " (", refused_opcode(code), ") is not allowed in a checkpoint (nothing was run)");
    }
  }
  return true;
}

Graph::Graph(ByteStream& in, const std::set<std::string>& allowed_globals) {
  Machine(*this, in, allowed_globals).run();
}

// ---- Writer ----

void Writer::little(uint64_t v, int bytes) {
  for (int i = 0; i < bytes; ++i) out_ += char(v >> (8 * i));
}

void Writer::integer(int64_t v) {
  if (v >= 0 && v < 256) {
    out_ += 'K';
    little(uint64_t(v), 1);
  } else if (v == int32_t(v)) {
    out_ += 'J';
    little(uint64_t(v), 4);
  } else {
    out_ += "\x8a\x08";
    little(uint64_t(v), 8);
  }
}

void Writer::real(double v) {
  const auto bits = std::bit_cast<uint64_t>(v);
  out_ += 'G';
  for (int i = 7; i >= 0; --i) out_ += char(bits >> (8 * i));
}

void Writer::string(const std::string& v) {
  const std::string text = surrogates_of_bytes(v);
  AR_CHECK(text.size() <= 0xffffffffu, "a string of ", text.size(), " bytes is too long to be saved");
  out_ += 'X';
  little(text.size(), 4);
  out_ += text;
}

void Writer::global(const std::string& module, const std::string& name) {
  for (const std::string& part : {"c" + module, name}) out_.append(part).append("\n");
}

}  // namespace ar::io::pickle
