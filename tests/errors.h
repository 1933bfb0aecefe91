// Checks of error texts.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tensor/error.h"

namespace ar {

/// The message of the Error that f throws; "no error" if it throws none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace ar

/// EXPECT_ERROR(x.select(0, 9), HasSubstr("index 9")): the statement throws an Error whose message matches.
#define EXPECT_ERROR(statement, matcher) EXPECT_THAT(::ar::error_of([&] { (void)(statement); }), matcher)
/// The same for a text that is part of the message.
#define EXPECT_MESSAGE(statement, text) EXPECT_ERROR(statement, ::testing::HasSubstr(text))
