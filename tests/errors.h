// Checks of error texts.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tensor/error.h"

namespace ar {

/// The message of the Error that f throws; "no error" if it throws none.
template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace ar

/// EXPECT_MESSAGE(x.select(0, 9), "select: index 9 is out of range"): the statement throws an Error with this text in
/// it.
#define EXPECT_MESSAGE(statement, text) \
  EXPECT_THAT(::ar::message_of([&] { (void)(statement); }), ::testing::HasSubstr(text))
