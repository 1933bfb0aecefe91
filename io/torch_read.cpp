// Reading PyTorch's files: the pickle says what the tree is, the storages hold the numbers.
#include <optional>

#include "io/pickle.h"
#include "io/torch_file.h"
#include "io/torch_types.h"
#include "io/utf8.h"
#include "io/zip.h"

namespace ar::io {
namespace {

using pickle::Node;
using Kind = Node::Kind;

constexpr int kDeepest = 100;

const std::set<std::string>& allowed_globals() {
  static const std::set<std::string> allowed = [] {
    std::set<std::string> names = {"collections.OrderedDict",
                                   "collections.defaultdict",
                                   "collections.Counter",
                                   "torch._utils._rebuild_tensor",
                                   "torch._utils._rebuild_tensor_v2",
                                   "torch._utils._rebuild_parameter",
                                   "torch.Size",
                                   "torch.device"};
    for (const char* type : {"set", "dict", "list", "int", "long", "float", "bool", "str", "unicode"})
      for (const char* module : {"builtins.", "__builtin__."}) names.insert(std::string(module) + type);
    for (const char* dtype : {"float16", "bfloat16", "float32", "float64", "float", "double", "half", "uint8", "int8",
                              "int16", "int32", "int64", "int", "long", "bool"})
      names.insert(std::string("torch.") + dtype);
    // Complex and quantised storages are refused later, with a better message.
    for (const char* storage : {"Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool",
                                "ComplexFloat", "ComplexDouble", "QInt8", "QUInt8", "QInt32"})
      names.insert(std::string("torch.") + storage + "Storage");
    return names;
  }();
  return allowed;
}

/// What a persistent reference of torch.save names.
struct StorageName {
  std::string key;
  const FileType* type;
  int64_t numel;        // of the whole storage
  int64_t view_offset;  // legacy files may name a part of it
  int64_t view_numel;
};

const Node& item(const ByteSource& source, const Node& tuple, size_t i, Kind kind) {
  if (i >= tuple.items.size() || tuple.items[i]->kind != kind) source.error("is damaged: it describes no tensor");
  return *tuple.items[i];
}

StorageName storage_name(const ByteSource& source, const Node& persistent) {
  const Node& id = *persistent.arguments;
  if (id.kind != Kind::tuple) source.error("is damaged: it describes no storage");
  const std::string& what = item(source, id, 0, Kind::string).text;
  if (what != "storage")
    source.error("holds a ", printable(what), ", not only plain data and tensors; save the state_dict()");
  const std::string& type = item(source, id, 1, Kind::global).text;
  constexpr std::string_view prefix = "torch.";
  StorageName name;
  name.type = find_torch_storage(std::string_view(type).substr(prefix.size()));
  if (!name.type) source.error("holds tensors of ", printable(type), ", a type that is not read");
  name.key = item(source, id, 2, Kind::string).text;
  name.numel = item(source, id, 4, Kind::integer).integer;
  name.view_offset = 0, name.view_numel = name.numel;
  if (id.items.size() > 5 && id.items[5]->kind == Kind::tuple) {  // (key, offset, numel)
    name.view_offset = item(source, *id.items[5], 1, Kind::integer).integer;
    name.view_numel = item(source, *id.items[5], 2, Kind::integer).integer;
  }
  if (name.numel < 0 || name.view_offset < 0 || name.view_numel < 0 || name.view_offset > name.numel ||
      name.view_numel > name.numel - name.view_offset)
    source.error("is damaged: a storage of ", name.numel, " elements");
  return name;
}

/// Gives the bytes of a storage: where they begin.
using Locate = std::function<int64_t(const StorageName&)>;

/// Turns the objects of a pickle into a tree.
class Converter {
 public:
  Converter(const ByteSource& source, Locate locate) : source_(source), locate_(std::move(locate)) {}

  Value convert(const Node& node, int depth = 0) {
    if (depth > kDeepest) source_.error("is nested more than ", kDeepest, " deep");
    count(node);
    switch (node.kind) {
      case Kind::none:
        return {};
      case Kind::boolean:
        return node.boolean;
      case Kind::integer:
        return node.integer;
      case Kind::real:
        return node.real;
      case Kind::string:
        return node.text;
      case Kind::global:
        return node.text;  // torch.float32
      case Kind::list:
      case Kind::tuple:
        return list(node, depth);
      case Kind::dict:
        return dict(node, {}, depth);
      case Kind::call:
        return call(node, depth);
      case Kind::persistent:
        source_.error("holds a bare storage, not a tensor");
      case Kind::big_integer:
        break;
    }
    source_.error("holds an integer of more than 64 bits");
  }

 private:
  /// Objects may be named many times over, which takes two bytes each time: the tree must not become much larger than
  /// its file.
  void count(const Node& node) {
    objects_ += 1;
    text_ += node.text.size();
    const auto size = uint64_t(source_.size());
    if (objects_ > (1 << 16) + 2 * size || text_ > (1 << 20) + 64 * size)
      source_.error("expands to far more than its size");
  }

  Value list(const Node& node, int depth) {
    Value::List values;
    for (const Node* n : node.items) values.push_back(convert(*n, depth + 1));
    return values;
  }

  Value dict(const Node& node, Dict into, int depth) {
    for (size_t i = 0; i + 1 < node.items.size(); i += 2) add(into, *node.items[i], *node.items[i + 1], depth);
    return into;
  }
  void add(Dict& into, const Node& key, const Node& value, int depth) {
    if (key.kind == Kind::string)
      into[key.text] = convert(value, depth + 1);
    else if (key.kind == Kind::integer)
      into[key.integer] = convert(value, depth + 1);
    else
      source_.error("has a dictionary with keys that are neither strings nor integers");
    count(key);
  }

  Value call(const Node& node, int depth) {
    const Node& arguments = *node.arguments;
    const std::string& name = node.text;
    if (name == "torch._utils._rebuild_tensor" || name == "torch._utils._rebuild_tensor_v2") return tensor(arguments);
    if (name == "torch._utils._rebuild_parameter") {
      if (arguments.items.empty()) source_.error("is damaged: it describes no tensor");
      return convert(*arguments.items[0], depth + 1);
    }
    const bool counts = name == "collections.defaultdict";  // its argument is what makes new entries
    if (counts || name == "collections.OrderedDict" || name == "collections.Counter" || name.ends_with(".dict")) {
      Dict start;
      if (!counts && !arguments.items.empty()) {  // from a dictionary, or from a list of pairs
        const Node& from = *arguments.items[0];
        if (from.kind == Kind::dict) start = *dict(from, {}, depth + 1).get_if<Dict>();
        for (const Node* pair : from.kind == Kind::dict ? std::vector<const Node*>{} : from.items) {
          if (pair->items.size() != 2) source_.error("is damaged: it describes no dictionary");
          add(start, *pair->items[0], *pair->items[1], depth + 1);
        }
      }
      return dict(node, std::move(start), depth);
    }
    if (name == "torch.device") {
      std::string device;
      for (const Node* part : arguments.items)
        device +=
            (device.empty() ? "" : ":") + (part->kind == Kind::string ? part->text : std::to_string(part->integer));
      return device;
    }
    if (name == "torch.Size" || name.ends_with(".set") || name.ends_with(".list"))
      return arguments.items.empty() ? Value(Value::List()) : list(*arguments.items[0], depth);
    source_.error("calls ", name, ", which is no way to make plain data");
  }

  Dims dims(const Node& tuple) {
    if (tuple.items.size() > size_t(kMaxRank)) source_.error("holds a tensor of ", tuple.items.size(), " dimensions");
    Dims d;
    for (size_t i = 0; i < tuple.items.size(); ++i) d.push_back(item(source_, tuple, i, Kind::integer).integer);
    return d;
  }

  /// (storage, offset, size, stride, requires_grad, hooks, metadata)
  Value tensor(const Node& arguments) {
    const StorageName name = storage_name(source_, item(source_, arguments, 0, Kind::persistent));
    int64_t offset = item(source_, arguments, 1, Kind::integer).integer;
    const Dims shape = dims(item(source_, arguments, 2, Kind::tuple));
    const Dims strides = dims(item(source_, arguments, 3, Kind::tuple));
    if (arguments.items.size() > 6 && !arguments.items[6]->items.empty())
      source_.error("holds a tensor with a conjugate or negative bit");
    check_extent(name, offset, shape, strides);
    return Tensor(storage(name), name.view_offset + offset, shape, strides, name.type->dtype);
  }

  void check_extent(const StorageName& name, int64_t offset, const Dims& shape, const Dims& strides) const {
    // 128 bits: nothing here overflows, whatever the file says.
    using Wide = __int128;
    bool good = shape.size() == strides.size() && offset >= 0;
    Wide last = offset, numel = 1;
    for (int d = 0; good && d < shape.size(); ++d) {
      good = shape[d] >= 0 && strides[d] >= 0;
      last += Wide(shape[d] - 1) * strides[d];
      numel = std::min<Wide>(numel * shape[d], Wide(1) << 62);
    }
    good = good && (numel == 0 || last < name.view_numel);
    if (!good)
      source_.error("is damaged: a tensor of shape ", shape, " with strides ", strides, " at ", offset,
                    " in a storage of ", name.view_numel, " elements");
    if (numel > name.view_numel && numel > 1 << 24)
      source_.error("holds a tensor of shape ", shape, " over ", name.view_numel, " elements");
  }

  std::shared_ptr<Storage> storage(const StorageName& name) {
    auto [place, fresh] = storages_.try_emplace(name.key);
    Loaded& loaded = place->second;
    if (fresh) {
      // Storages cannot be larger together than their file, unless they overlap.
      bytes_ += uint64_t(name.numel) * uint64_t(name.type->bytes);
      if (name.numel > source_.size() || bytes_ > uint64_t(source_.size()))
        source_.error("is damaged or cut short: it claims storages of ", bytes_, " bytes");
      loaded = {name.type, name.numel, read_elements(source_, locate_(name), name.numel, *name.type)};
    }
    if (loaded.type != name.type || loaded.numel != name.numel)
      source_.error("is damaged: storage ", printable(name.key), " is described in two ways");
    return loaded.storage;
  }

  struct Loaded {
    const FileType* type;
    int64_t numel;
    std::shared_ptr<Storage> storage;
  };
  const ByteSource& source_;
  Locate locate_;
  std::map<std::string, Loaded> storages_;
  uint64_t objects_ = 0, text_ = 0, bytes_ = 0;
};

}  // namespace

Value read_torch_zip(const ByteSource& source) {
  const ZipReader zip(source);
  std::optional<std::string> folder;  // all entries are in one
  constexpr std::string_view pickle_name = "data.pkl";
  for (const auto& [name, entry] : zip.entries())
    if (name.ends_with(pickle_name) && (!folder || name.size() < folder->size() + pickle_name.size()))
      folder = name.substr(0, name.size() - pickle_name.size());
  if (!folder) source.error("is a zip archive, but not one of PyTorch (no data.pkl)");
  if (zip.find(*folder + "constants.pkl"))
    source.error("is a TorchScript program; save the model's state_dict() with torch.save");
  if (const auto* order = zip.find(*folder + "byteorder"))
    if (source.text(zip.data_offset("byteorder", *order), std::min<int64_t>(order->size, 16)) != "little")
      source.error("was saved on a big-endian machine, which is not read");

  const auto& entry = *zip.find(*folder + std::string(pickle_name));
  const int64_t begin = zip.data_offset(std::string(pickle_name), entry);
  ByteStream in(source, begin, begin + entry.size);
  const pickle::Graph graph(in, allowed_globals());
  return Converter(source,
                   [&](const StorageName& name) {
                     const std::string path = *folder + "data/" + name.key;
                     const auto* found = zip.find(path);
                     if (!found) source.error("is damaged: storage ", printable(name.key), " is missing");
                     if (found->size / name.type->bytes < name.numel)
                       source.error("is damaged: storage ", printable(name.key), " has ", found->size, " bytes for ",
                                    name.numel, " elements");
                     return zip.data_offset(printable(path), *found);
                   })
      .convert(graph.root());
}

Value read_torch_legacy(const ByteSource& source) {
  static const std::set<std::string> none;
  ByteStream in(source, 0, source.size());
  const pickle::Graph magic(in, none), version(in, none), system(in, none);
  constexpr std::string_view kMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);  // 0x1950a86a20f9469cfc6c
  if (magic.root().kind != Kind::big_integer || magic.root().text != kMagic || version.root().kind != Kind::integer ||
      version.root().integer != 1001)
    source.error("is a pickle, but not one of torch.save");
  for (size_t i = 0; i + 1 < system.root().items.size(); i += 2) {
    const Node &key = *system.root().items[i], &value = *system.root().items[i + 1];
    if (key.text == "little_endian" && value.kind == Kind::boolean && !value.boolean)
      source.error("was saved on a big-endian machine, which is not read");
  }
  const pickle::Graph graph(in, allowed_globals());
  std::map<std::string, const FileType*> types;
  for (const Node* reference : graph.persistent()) {
    const StorageName name = storage_name(source, *reference);
    types[name.key] = name.type;
  }
  // The storages lie in the order of the keys, each after the number of its elements.
  const pickle::Graph keys(in, none);
  struct Place {
    int64_t offset, numel;
  };
  std::map<std::string, Place> places;
  int64_t at = in.position();
  for (const Node* key : keys.root().items) {
    const auto type = types.find(key->text);
    if (type == types.end()) source.error("is damaged: it has a storage that no tensor uses");
    int64_t numel = 0;
    source.read(at, &numel, 8);
    at += 8;
    if (numel < 0 || numel > source.size()) source.error("is damaged or cut short: a storage of ", numel, " elements");
    source.check_range(at, numel * type->second->bytes);
    places[key->text] = {at, numel};
    at += numel * type->second->bytes;
  }
  return Converter(source,
                   [&](const StorageName& name) {
                     const auto found = places.find(name.key);
                     if (found == places.end())
                       source.error("is damaged: storage ", printable(name.key), " is missing");
                     if (found->second.numel < name.numel)
                       source.error("is damaged: storage ", printable(name.key), " has ", found->second.numel,
                                    " elements, not ", name.numel);
                     return found->second.offset;
                   })
      .convert(graph.root());
}

}  // namespace ar::io
