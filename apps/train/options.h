// The options that the training programs share.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>

namespace ar::apps {

/// The network that turns an image into features.
struct ExtractorOptions {
  std::string feature_extractor = "resnet18";
  std::string pretrained = "auto";
  bool freeze_fe = false;
};

void add_extractor_options(CLI::App& app, ExtractorOptions& options);

struct TrainOptions {
  // data
  double validation_split = 0.1;
  int64_t batch_size = 16;
  int data_loader_workers = 2;
  // optimisation
  int64_t epochs = 10;
  std::string optimizer = "SGD";
  int64_t grad_accum_steps = 1;
  double learning_rate = 1e-3, head_lr_mult = 1;
  double momentum = 0.9, weight_decay = 4e-5;
  std::string scheduler = "None";
  int64_t lr_step_size = 0;  // steps between the falls of "Step"; 0: an epoch
  double warmup_epochs = 0;
  double label_smoothing = 0;
  double clip_norm = 0;  // 0: no clipping
  // the run
  std::string resume_checkpoint = {};  // a path, or "auto": the last state beside save_checkpoint if there is one
  std::filesystem::path save_checkpoint = "models/model.pt";
  double checkpoint_minutes = 10;
  std::filesystem::path logdir = {};
  uint64_t seed = 0;
  bool no_cuda_graph = false;
};

/// Adds them all, in groups, with help texts and bounds.
void add_train_options(CLI::App& app, TrainOptions& options);

/// Where and how a program computes.
struct MachineOptions {
  std::string device = "auto", precision = "f32";
  int threads = 0;      // 0: the library's default
  std::string profile;  // file for the trace; empty: no profile
};

void add_machine_options(CLI::App& app, MachineOptions& options);
/// Sets the threads, the device and the precision. Throws Error with the reason when the device cannot be used.
void apply_machine_options(const MachineOptions& options);

}  // namespace ar::apps
