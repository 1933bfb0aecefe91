// Files that PyTorch and safetensors wrote, and hostile ones (tests/fixtures/make_weights.py makes them).
#include "io/torch_file.h"

#include "io/checkpoint_file.h"
#include "io/zip.h"
#include "tests/weights/weights_test.h"

namespace ar::io {
namespace {

using testing::HasSubstr;

template <class T>
std::vector<T> elements(const Value& v, const char* name) {
  return v.at(name).tensor().to_vector<T>();
}

void expect_tensors(const Value& v) {
  std::vector<float> count(24);
  for (size_t i = 0; i < count.size(); ++i) count[i] = float(i);
  EXPECT_EQ(elements<float>(v, "f32"), count);
  EXPECT_EQ(v.at("f32").tensor().shape(), (Dims{2, 3, 4}));
  EXPECT_EQ(elements<float>(v, "shared"), (std::vector<float>{16, 18, 20, 22}));
  EXPECT_EQ(elements<float>(v, "transposed"), (std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  EXPECT_EQ(v.at("channels_last").tensor().shape(), (Dims{2, 3, 2, 2}));
  EXPECT_EQ(elements<float>(v, "channels_last"), count);
  EXPECT_EQ(elements<float>(v, "parameter"), (std::vector<float>{1.5, -2.5}));
  EXPECT_EQ(elements<double>(v, "f64"), (std::vector<double>{1.0 / 3, -2}));
  EXPECT_EQ(elements<double>(v, "f16"), (std::vector<double>{0.5, -65504}));
  EXPECT_EQ(elements<double>(v, "bf16"), (std::vector<double>{0.5, -3}));
  EXPECT_EQ(elements<int>(v, "u8"), (std::vector<int>{0, 255}));
  EXPECT_EQ(elements<int>(v, "i8"), (std::vector<int>{-128, 127}));
  EXPECT_EQ(elements<int>(v, "i16"), (std::vector<int>{-32768, 32767}));
  EXPECT_EQ(elements<int>(v, "i32"), (std::vector<int>{INT32_MIN, INT32_MAX}));
  EXPECT_EQ(elements<int64_t>(v, "i64"), (std::vector<int64_t>{INT64_MIN, INT64_MAX}));
  EXPECT_EQ(elements<int>(v, "bool"), (std::vector<int>{1, 0}));
  EXPECT_EQ(v.at("bool").tensor().dtype(), Dtype::u8);
  EXPECT_EQ(v.at("i8").tensor().dtype(), Dtype::i32);
  EXPECT_EQ(v.at("bf16").tensor().dtype(), Dtype::bf16);
  EXPECT_EQ(v.at("scalar").tensor().item(), 7);
  EXPECT_EQ(v.at("empty").tensor().shape(), (Dims{0, 3}));
  EXPECT_EQ(elements<float>(v, "expanded"), (std::vector<float>{2, 2, 2}));
}

class TorchFile : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Format, TorchFile, testing::Values("tree.pt", "tree_legacy.pth"), [](const auto& info) {
  return std::string(info.param).substr(0, std::string(info.param).find('.'));
});

TEST_P(TorchFile, IsReadWhole) {
  const Value v = load_checkpoint_file(fixture(GetParam()));
  expect_tensors(v);
  EXPECT_TRUE(v.at("f32").tensor().shares_memory_with(v.at("shared").tensor()));
  EXPECT_EQ(v.at("shared").tensor().strides(), (Dims{4, 2}));
  EXPECT_TRUE(v.at("channels_last").tensor().is_dense(Layout::channels_last));
  Value wanted;
  wanted["size"] = Value::List{2, 3, 4};
  wanted["numbers"] =
      Value::List{0, 255, 256, -1, int64_t(1) << 31, INT64_MIN, 2.5, std::stod("inf"), true, false, Value()};
  wanted["text"] = "Gr\u00fc\u00dfe \U0001f600";
  wanted["nested"]["a"]["b"] = Value::List{Value::List{1, 2}, Dict()};
  Value three;
  three[int64_t{3}] = "drei";
  wanted["nested"]["a"]["b"] = Value::List{Value::List{1, 2}, three};
  wanted["dtype"] = "torch.float32";
  wanted["device"] = "cpu";
  wanted["counts"]["x"] = 1;
  for (const auto& [key, value] : *wanted.get_if<Dict>()) expect_same(value, v.at(key).value(), to_string(key));
}

TEST_P(TorchFile, EveryCutIsAnError) {
  const std::string whole = read_file(fixture(GetParam()));
  for (size_t n = 0; n < whole.size(); ++n) {
    const ByteSource cut("cut", whole.data(), n);
    ASSERT_THAT(error_of([&] { load_checkpoint(cut); }), testing::StartsWith("cut: ")) << n << " of " << whole.size();
  }
}

TEST(Safetensors, IsReadWhole) { expect_tensors(load_checkpoint_file(fixture("tree.safetensors"))); }

TEST(Pickle, ExecutesNothing) {
  const auto load = [](const char* name) { return error_of([&] { load_checkpoint_file(fixture(name)); }); };
  const std::string refused = "posix.system is not allowed in a checkpoint (nothing was run)";
  EXPECT_EQ(load("villain.pt"), fixture("villain.pt") + ": " + refused);
  EXPECT_EQ(load("villain_4.pt"), fixture("villain_4.pt") + ": " + refused);
  EXPECT_THAT(load("old_instance.pt"), HasSubstr("pickle opcode 0x69 (INST) is not allowed"));
}

TEST(Pickle, HostileFilesAreErrors) {
  const std::pair<const char*, const char*> cases[] = {
      {"deep.pt", "nested more than 100 deep"},
      {"cycle.pt", "nested more than 100 deep"},
      {"laughs.pt", "expands to far more than its size"},
      {"huge_storage.pt", "claims storages"},
      {"past_the_end.pt", "a tensor of shape [4] with strides [1] at 1 in a storage of 4 elements"},
      {"negative_stride.pt", "with strides [-1]"},
      {"overflow.pt", "is damaged: a tensor of shape"},
      {"missing_storage.pt", "storage 1 is missing"},
      {"compressed.pt", "is compressed"},
  };
  for (const auto& [name, message] : cases)
    EXPECT_ERROR(load_checkpoint_file(fixture(name)), HasSubstr(message)) << name;
}

TEST(Zip, LargeArchivesHaveZip64Fields) {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder / "x.zip");
    ZipWriter zip(file, true);
    zip.add("a/b", "hello", 5, 64);
    zip.add("c", "");
    zip.finish();
    file.commit();
  }
  const ByteSource source(folder / "x.zip");
  const ZipReader zip(source);
  ASSERT_EQ(zip.entries().size(), 2u);
  const auto& entry = *zip.find("a/b");
  EXPECT_EQ(zip.data_offset("a/b", entry) % 64, 0);
  EXPECT_EQ(source.text(zip.data_offset("a/b", entry), entry.size), "hello");
}

}  // namespace
}  // namespace ar::io
