// Our checkpoint files: the way there and back. (tests/fixtures/check_checkpoint.py shows them to PyTorch.)
#include "io/checkpoint_file.h"

#include <cmath>
#include <limits>

#include "tests/weights/weights_test.h"

namespace ar::io {
namespace {

Value tree() {
  Value v;
  const Tensor picture = arange(48).to(Dtype::f32).reshape({2, 2, 3, 4});
  v["model"]["contiguous"] = picture;
  v["model"]["channels_last"] = picture.clone(Layout::channels_last);
  v["model"]["narrow"] = picture.narrow(3, 1, 2);
  v["model"]["transposed"] = arange(6).reshape({2, 3}).transpose(0, 1);
  v["model"]["expanded"] = full({1}, 3).expand({4});
  v["model"]["row_padded"] = full({2, 3}, 0.5, {.row_align = 64});
  v["model"]["scalar"] = arange(1).reshape({});
  v["model"]["empty"] = zeros({0, 3});
  for (const Dtype t : {Dtype::u8, Dtype::i32, Dtype::i64, Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64})
    v["dtypes"][name_of(t)] = arange(5).to(t);
  v["none"];
  v["booleans"] = Value::List{true, false};
  v["integers"] =
      Value::list(std::vector<int64_t>{0, 255, 256, -1, std::numeric_limits<int32_t>::min(), 1ll << 31,
                                       std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()});
  v["reals"] = Value::List{1.0,
                           -0.0,
                           0.1,
                           1e300,
                           5e-324,
                           std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()};
  v["texts"] = Value::List{"",
                           "plain",
                           "Gr\u00fc\u00dfe \U0001f600",
                           std::string("zero\0inside", 11),
                           "not UTF-8: \xff\xed\xb2\x80\xe4",
                           "quote\" and \\ and \n"};
  v["keys"][int64_t{5}] = "integer";
  v["keys"]["5"] = "text";
  v["keys"]["a.b"] = zeros({1});
  v["keys"]["a"]["b"] = ones({1});
  v["keys"]["bytes \xff"] = ones({2});
  v["tagged"]["$tensor"] = "no tensor at all";
  v["lists"] = Value::List{Value::List{}, Dict(), Value::List{zeros({2})}};
  return v;
}

class Format : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Checkpoint, Format, testing::Values("pt", "pth", "safetensors"),
                         [](const auto& info) { return info.param; });

TEST_P(Format, ComesBackAsItWas) {
  const TemporaryFolder folder;
  const std::string path = folder / ("model." + GetParam());
  const Value saved = tree();
  save_checkpoint_file(path, saved);
  const Value loaded = load_checkpoint_file(path);
  expect_same(saved, loaded);
  EXPECT_EQ(loaded.origin(), path);
  EXPECT_EQ(folder.files(), std::vector<std::string>{"model." + GetParam()});
  // And once more: what was loaded has other strides and shared storages.
  save_checkpoint_file(path, loaded);
  expect_same(saved, load_checkpoint_file(path));
}

// With AR_CHECKPOINTS=FOLDER the files stay there, for tests/fixtures/check_checkpoint.py.
TEST_P(Format, IsKeptForPyTorch) {
  const char* folder = std::getenv("AR_CHECKPOINTS");
  if (!folder) GTEST_SKIP() << "AR_CHECKPOINTS names no folder";
  save_checkpoint_file(std::string(folder) + "/tree." + GetParam(), tree());
}

TEST_P(Format, ABareTensorIsATree) {
  const TemporaryFolder folder;
  save_checkpoint_file(folder / ("x." + GetParam()), arange(3));
  EXPECT_EQ(load_checkpoint_file(folder / ("x." + GetParam())).get_if<Tensor>()->to_vector<int>(),
            (std::vector<int>{0, 1, 2}));
}

TEST_P(Format, EveryCutIsAnError) {
  const TemporaryFolder folder;
  const std::string path = folder / ("x." + GetParam());
  Value v;
  v["a"] = arange(20);
  v["b"] = "text";
  save_checkpoint_file(path, v);
  const std::string whole = read_file(path);
  for (size_t n = 0; n < whole.size(); ++n) {
    const ByteSource cut("cut", whole.data(), n);
    ASSERT_THAT(error_of([&] { load_checkpoint(cut); }), testing::StartsWith("cut: ")) << n << " of " << whole.size();
  }
}

TEST(Checkpoint, TensorsSharingAStorageAreSavedOnce) {
  const TemporaryFolder folder;
  const Tensor big = zeros({1 << 16});
  Value v;
  v["whole"] = big;
  v["part"] = big.narrow(0, 100, 50);
  v["again"] = big;
  save_checkpoint_file(folder / "x.pt", v);
  EXPECT_LT(std::filesystem::file_size(folder / "x.pt"), (1 << 18) + 2000u);
  const Value loaded = load_checkpoint_file(folder / "x.pt");
  EXPECT_TRUE(loaded.at("whole").tensor().shares_memory_with(loaded.at("part").tensor()));
  EXPECT_EQ(loaded.at("part").tensor().offset(), 100);
}

TEST(Checkpoint, OnlyTheUsedPartOfAStorageIsSaved) {
  const TemporaryFolder folder;
  save_checkpoint_file(folder / "x.pt", zeros({1 << 16}).narrow(0, 100, 50));
  EXPECT_LT(std::filesystem::file_size(folder / "x.pt"), 2000u);
  save_checkpoint_file(folder / "x.pt", zeros({1 << 8, 1 << 8}).narrow(1, 0, 2));
  EXPECT_LT(std::filesystem::file_size(folder / "x.pt"), 4000u);
}

TEST(Checkpoint, StoragesAreAligned) {
  const TemporaryFolder folder;
  Value v;
  for (int i = 0; i < 9; ++i) v["some name " + std::string(size_t(i), 'x')] = full({3}, 12345.75);
  save_checkpoint_file(folder / "x.pt", v);
  const std::string file = read_file(folder / "x.pt");
  const float wanted = 12345.75;
  const std::string bytes(reinterpret_cast<const char*>(&wanted), 4);
  int found = 0;
  for (size_t at = file.find(bytes); at != std::string::npos; at = file.find(bytes, at + 12), ++found)
    EXPECT_EQ(at % 64, 0u);
  EXPECT_EQ(found, 9);
}

TEST(Checkpoint, NamesOfNoFormatAreRefused) {
  EXPECT_ERROR(save_checkpoint_file("model.ckpt", 1),
               testing::StrEq("model.ckpt: a checkpoint's name must end in .pt, .pth or .safetensors"));
  EXPECT_FALSE(std::filesystem::exists("model.ckpt"));
}

TEST(Checkpoint, FilesThatAreNoneAreErrors) {
  const TemporaryFolder folder;
  EXPECT_ERROR(load_checkpoint_file(folder / "nothing.pt"),
               testing::HasSubstr("nothing.pt: cannot be opened: No such"));
  EXPECT_ERROR(load_checkpoint_file(folder / "."), testing::HasSubstr("is a folder"));
  EXPECT_ERROR(load_checkpoint_file("/dev/null"), testing::HasSubstr("no regular file"));
  const std::pair<const char*, const char*> cases[] = {
      {"", "is empty"},
      {"<!DOCTYPE html>", "is a web page"},
      {"version https://git-lfs.github.com/spec/v1", "Git LFS"},
      {"hello, this is text", "is neither safetensors nor a file of torch.save"},
      {"PK\x03\x04 and no more", "zip archive"},
      {"\x80\x02K\x01.", "cut short"},
      {"\x80\x02K\x01.\x80\x02K\x01.\x80\x02K\x01.", "is a pickle, but not one of torch.save"},
  };
  for (const auto& [text, message] : cases) {
    write_file(folder / "x.pt", text);
    EXPECT_ERROR(load_checkpoint_file(folder / "x.pt"), testing::HasSubstr(message));
  }
}

TEST(Checkpoint, SafetensorsAreKnownWhateverTheirHeadersLength) {
  const TemporaryFolder folder;  // a length of 0x80 looks like the beginning of a pickle
  for (size_t n = 1; n <= 256; n += 8) {
    Value value;
    value[std::string(n, 'a')] = full({1}, double(n));
    save_checkpoint_file(folder / "x.safetensors", value);
    EXPECT_EQ(load_checkpoint_file(folder / "x.safetensors").at(std::string(n, 'a')).tensor().item(), double(n));
  }
}

TEST(Checkpoint, SafetensorsHeadersAreChecked) {
  const auto load = [](const std::string& header, size_t data_bytes) {
    const uint64_t n = header.size();
    const std::string file = std::string(reinterpret_cast<const char*>(&n), 8) + header + std::string(data_bytes, 0);
    return load_checkpoint(ByteSource("x", file.data(), file.size()));
  };
  EXPECT_EQ(load(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8).at("a").tensor().numel(), 2);
  const std::pair<const char*, const char*> cases[] = {
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", "x: a: is damaged or cut short"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "x: a: is damaged or cut short"},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "negative size"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
       "x: a: is damaged or cut short"},
      {R"({"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}})", "x: a: is of type C64, which is not read"},
      {R"({"a":{"shape":[1],"data_offsets":[0,8]}})", "x: a: there is no 'dtype'"},
      {R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}})",
       "overlaps"},
      {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1],"data_offsets":[0,1]}})", "7 dimensions"},
      {R"({"a":[1]})", "wanted a dictionary"},
      {R"({"a":)", "x: is not JSON"},
      {R"({"__metadata__":{"ar.tree":"{\"a\":{\"$tensor\":\"b\"}}"}})", "names a tensor that the file has not"},
      {R"({"a":18446744073709551615})", "too large"},
  };
  for (const auto& [header, message] : cases) EXPECT_ERROR(load(header, 8), testing::HasSubstr(message)) << header;
  EXPECT_ERROR(load(std::string(5000, '['), 0), testing::StartsWith("x: is neither"));
  EXPECT_ERROR(load("{\"a\":" + std::string(5000, '['), 0), testing::HasSubstr("nested more than 100 deep"));
}

}  // namespace
}  // namespace ar::io
