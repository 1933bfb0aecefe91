// A confusion matrix as a picture, for TensorBoard.
#pragma once
#include <string>

#include "apps/report/metrics.h"

namespace ar::apps {

/// The bytes of a PNG file. Rows are the true classes, columns what they were taken for, numbered from 0 in the order
/// of metrics.classes(); up to 24 classes the cells show their counts. The colour is the share of the row: right ones
/// blue, wrong ones orange.
std::string confusion_picture(const ClassificationMetrics& metrics);

}  // namespace ar::apps
