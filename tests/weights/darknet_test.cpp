#include "io/darknet.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "apps/model/pretrained.h"
#include "autograd/autograd.h"
#include "io/image.h"
#include "io/resize.h"
#include "nn/models/tiny_darknet.h"
#include "tests/weights/weights_test.h"

namespace ar::apps {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr size_t kConvolutions = 917'488;  // numbers of Tiny Darknet without its head

/// A file whose numbers count up from 0.
std::string darknet_file(size_t numbers, int minor = 1) {
  const int32_t version[3] = {0, minor, 0};
  std::string file(reinterpret_cast<const char*>(version), 12);
  const uint64_t seen = 77;
  file.append(reinterpret_cast<const char*>(&seen), minor >= 2 ? 8 : 4);
  std::vector<float> values(numbers);
  std::iota(values.begin(), values.end(), 0.0f);
  return file.append(reinterpret_cast<const char*>(values.data()), numbers * 4);
}

PretrainedOptions from(const std::string& source) { return {.source = source}; }

TEST(Darknet, HeadersOfBothVersions) {
  for (const int minor : {1, 2}) {
    const std::string file = darknet_file(3, minor);
    const io::DarknetWeights w = io::read_darknet_weights(io::ByteSource("x", file.data(), file.size()));
    EXPECT_EQ(w.minor, minor);
    EXPECT_EQ(w.seen, 77);
    EXPECT_EQ(w.values.to_vector<float>(), (std::vector<float>{0, 1, 2}));
  }
  const std::string cut = darknet_file(3).substr(0, 27);
  EXPECT_MESSAGE(io::read_darknet_weights(io::ByteSource("x", cut.data(), cut.size())),
                 "x: is damaged or cut short: 11 bytes");
  EXPECT_MESSAGE(io::read_darknet_weights(io::ByteSource("x", "short", 5)), "x: is no file of Darknet weights");
}

TEST(Darknet, NumbersGoWhereTheyBelong) {
  const TemporaryFolder folder;
  write_file(folder / "x.weights", darknet_file(kConvolutions + 2 * 129));
  nn::TinyDarknet network(2);
  EXPECT_THAT(load_pretrained(network, "tiny_darknet", from(folder / "x.weights")).notes, testing::IsEmpty());
  std::map<std::string, double> first;
  for (const auto& [name, tensor] : network.state_dict()) first[name] = tensor.at(Dims::filled(tensor.rank(), 0));
  EXPECT_EQ(first["layers.0.norm.bias"], 0);
  EXPECT_EQ(first["layers.0.norm.weight"], 16);
  EXPECT_EQ(first["layers.0.norm.running_mean"], 32);
  EXPECT_EQ(first["layers.0.norm.running_var"], 48);
  EXPECT_EQ(first["layers.0.conv.weight"], 64);
  EXPECT_EQ(first["layers.2.norm.bias"], 64 + 16 * 27);
  EXPECT_EQ(first["layers.19.conv.bias"], double(kConvolutions));
  EXPECT_EQ(first["layers.19.conv.weight"], double(kConvolutions + 2));
}

TEST(Darknet, HeadsOfOtherSizes) {
  const TemporaryFolder folder;
  write_file(folder / "x.weights", darknet_file(kConvolutions + 2 * 129));
  nn::TinyDarknet bare(0), three(3);
  EXPECT_THAT(load_pretrained(bare, "tiny_darknet", from(folder / "x.weights")).notes, testing::IsEmpty());
  EXPECT_THAT(load_pretrained(three, "tiny_darknet", from(folder / "x.weights")).notes,
              testing::ElementsAre(HasSubstr("for 2 classes is left out")));
  write_file(folder / "y.weights", darknet_file(kConvolutions));
  EXPECT_THAT(load_pretrained(three, "tiny_darknet", from(folder / "y.weights")).notes,
              testing::ElementsAre(HasSubstr("has no classifier")));
}

TEST(Darknet, WrongLengthsAreErrorsThatCount) {
  const TemporaryFolder folder;
  nn::TinyDarknet network(2);
  write_file(folder / "x.weights", darknet_file(kConvolutions - 5));
  EXPECT_MESSAGE(load_pretrained(network, "tiny_darknet", from(folder / "x.weights")),
                 "x.weights: is cut short or of another network: 5 of its convolutions' numbers are missing");
  write_file(folder / "x.weights", darknet_file(kConvolutions + 130));
  EXPECT_MESSAGE(load_pretrained(network, "tiny_darknet", from(folder / "x.weights")), "130 numbers are left over");
  nn::ImageClassifier other({.feature_extractor = "resnet18", .classes = 3});
  EXPECT_MESSAGE(load_pretrained(other, from(folder / "x.weights")), "fit tiny_darknet only, not resnet18");
}

// ---- the real thing ----

class PublishedTinyDarknet : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("AR_TEST_DATA");
    if (!folder) GTEST_SKIP() << "AR_TEST_DATA names no folder with tiny_darknet/tiny.weights";
    folder_ = std::string(folder) + "/tiny_darknet/";
    std::ifstream list(folder_ + "imagenet.shortnames.list");
    for (std::string line; std::getline(list, line);) labels_.push_back(line);
  }

  /// The middle 224 x 224 of the picture at 256 pixels' short side, RGB in 0..1; no mean is taken off.
  Tensor load(const std::string& name) {
    io::Image picture, small(224, 224);
    io::decode_image_file(folder_ + name, {}, picture);
    const double width = picture.width(), height = picture.height(), side = std::min(width, height) * 224 / 256;
    io::resize(picture, {(width - side) / 2, (height - side) / 2, side, side}, small.view());
    std::vector<float> values(3 * 224 * 224);
    for (int y = 0; y < 224; ++y)
      for (int x = 0; x < 224; ++x)
        for (int c = 0; c < 3; ++c)
          values[size_t((c * 224 + y) * 224 + x)] = float(small.view().row(y)[3 * x + c]) / 255;
    return from_vector(values, {1, 3, 224, 224}, Layout::channels_last);
  }

  void expect_top(const nn::Module& network, bool logarithms, const std::string& picture, const std::string& label,
                  double probability) {
    const Variable y = network(load(picture));
    const auto p = (logarithms ? exp(y) : softmax(y, 1)).value().to_vector<double>();
    const size_t top = size_t(std::max_element(p.begin(), p.end()) - p.begin());
    EXPECT_EQ(labels_[top], label);
    EXPECT_NEAR(p[top], probability, 0.06);
    RecordProperty(label, std::to_string(p[top]));
  }

  std::string folder_;
  std::vector<std::string> labels_;
};

TEST_F(PublishedTinyDarknet, KnowsADogsledAndAZebra) {
  nn::TinyDarknet network(1000);
  network.eval();
  EXPECT_THAT(load_pretrained(network, "tiny_darknet", from(folder_ + "tiny.weights")).notes, testing::IsEmpty());
  expect_top(network, false, "dog.jpg", "dogsled", 0.73);
  expect_top(network, false, "giraffe.jpg", "zebra", 0.89);
}

TEST_F(PublishedTinyDarknet, ServesAsAnImageClassifier) {
  nn::ImageClassifier network({.feature_extractor = "tiny_darknet", .classes = 1000});
  network.eval();
  EXPECT_THAT(load_pretrained(network, from(folder_ + "tiny.weights")).notes, testing::IsEmpty());
  expect_top(network, true, "dog.jpg", "dogsled", 0.73);
  expect_top(network, true, "giraffe.jpg", "zebra", 0.89);
}

}  // namespace
}  // namespace ar::apps
