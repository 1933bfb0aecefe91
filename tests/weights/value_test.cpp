#include "io/value.h"

#include "tests/errors.h"

namespace ar::io {
namespace {

TEST(Value, HoldsATree) {
  Value v;
  v["epoch"] = 3;
  v["classes"] = Value::list(std::vector<std::string>{"a b", "c/d"});
  v["nested"]["x"][int64_t{7}] = 2.5;
  v["none"];
  EXPECT_EQ(v.at("epoch").integer(), 3);
  EXPECT_EQ(v.at("epoch").real(), 3.0);
  EXPECT_EQ(v.at("classes").strings(), (std::vector<std::string>{"a b", "c/d"}));
  EXPECT_EQ(v.at("classes").at(int64_t{1}).string(), "c/d");
  EXPECT_EQ(v.at("nested").at("x").at(int64_t{7}).real(), 2.5);
  EXPECT_FALSE(v.find("none"));
  EXPECT_FALSE(v.find("missing"));
}

TEST(Value, KeepsTheOrderOfKeys) {
  Value v;
  for (const char* key : {"z", "a", "m", "a"}) v[key] = key;
  std::string keys;
  for (const auto& [key, field] : v.field().dict()) keys += to_string(key);
  EXPECT_EQ(keys, "zam");
}

TEST(Value, CopiesAreIndependentButForTensors) {
  Value v;
  v["x"] = zeros({2});
  v["n"] = 1;
  Value copy = v;
  copy["n"] = 2;
  EXPECT_EQ(v.at("n").integer(), 1);
  EXPECT_TRUE(copy.at("x").tensor().shares_memory_with(v.at("x").tensor()));
}

TEST(Value, ErrorsNameFileAndPath) {
  Value v;
  v["epoch"] = "three";
  v["optimizer"]["groups"] = Value::List{1, 2.5};
  v.set_origin("model.pt");
  EXPECT_ERROR(v.at("epoch").integer(), testing::StrEq("model.pt: epoch: a string, wanted an integer"));
  EXPECT_ERROR(v.at("step"), testing::StrEq("model.pt: there is no 'step'"));
  EXPECT_ERROR(v.at("optimizer").at("groups").at(int64_t{1}).integer(),
               testing::StrEq("model.pt: optimizer.groups.1: a number, wanted an integer"));
  EXPECT_ERROR(v.at("epoch").at("x"), testing::StrEq("model.pt: epoch: a string, wanted a dictionary"));
  EXPECT_ERROR(v.at("optimizer").tensors(), testing::StrEq("model.pt: optimizer.groups: a list, wanted a tensor"));
}

}  // namespace
}  // namespace ar::io
