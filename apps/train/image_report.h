// The pictures in the reports on image classifiers.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "apps/report/html_report.h"
#include "apps/train/image_data.h"
#include "io/loader.h"

namespace ar::apps {

/// A JPEG file of a picture, 160 pixels along its longer side at most; empty if it cannot be read.
std::string thumbnail(const std::filesystem::path& file);

/// Gives the report the thumbnails and names of a data set's images, whose indices the metrics know. The data set must
/// outlive the report.
void show_images_of(const io::ImageDataset& images, Report& report);

/// What to know about the data: unreadable files, copies.
std::vector<DataFact> facts_about(const ImageData& data);

/// The first images of a batch in rows of eight, as they go to the network: a PNG file.
std::string sample_picture(const io::Batch& batch);

}  // namespace ar::apps
