// Tables that sort by a click on a column's head.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace ar::apps {

struct TableColumn {
  std::string name;
  bool number = false;  // aligned right; sorts the greatest first
  std::string title{};  // explanation, shown on hovering
};

struct TableCell {
  std::string text;
  std::optional<double> sort{};  // what to sort by instead of the text
  std::optional<double> bar{};   // 0 to 1: a bar behind the text
  std::string link{};            // address the text leads to
};

struct Table {
  std::vector<TableColumn> columns{};
  std::vector<std::vector<TableCell>> rows{};
  std::string caption{};
  bool filter = false;    // a box that leaves the rows that contain what is typed
  int sorted_by = -1;     // the column the rows come sorted by (shown by its arrow); -1: none
  bool ascending = true;  // and which way
};

std::string html_table(const Table& table);

}  // namespace ar::apps
