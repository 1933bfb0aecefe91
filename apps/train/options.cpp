#include "apps/train/options.h"

#include "apps/common/profiling.h"
#include "apps/model/machine.h"
#include "nn/models/backbone.h"
#include "tensor/error.h"
#include "tensor/parallel.h"

namespace ar::apps {

void add_extractor_options(CLI::App& app, ExtractorOptions& o) {
  auto* const model = app.add_option_group("Model");
  model->add_option("--feature-extractor", o.feature_extractor, "network that turns an image into features")
      ->check(CLI::IsMember(nn::backbone_names()));
  model->add_option(
      "--pretrained", o.pretrained,
      "its weights: auto (torchvision's ImageNet weights, from the cache or downloaded), none (random), a "
      "file (.pt, .pth, .safetensors, Darknet's .weights) or a URL");
  model->add_flag("--freeze-fe,!--no-freeze-fe", o.freeze_fe, "train the head only");
}

void add_train_options(CLI::App& app, TrainOptions& o) {
  auto* const data = app.add_option_group("Data");
  data->add_option("--validation-split", o.validation_split,
                   "share of each class that is kept for validation; 0: no validation")
      ->check(CLI::Range(0.0, 0.9));
  data->add_option("--batch-size", o.batch_size,
                   "samples per step; a last batch of one sample is left out (batch norm cannot train on one)")
      ->check(CLI::PositiveNumber);
  data->add_option("--data-loader-workers", o.data_loader_workers, "threads that read data ahead; 0: none")
      ->check(CLI::Range(0, 256));

  auto* const optimisation = app.add_option_group("Optimisation");
  optimisation->add_option("--epochs", o.epochs, "passes over the data; 0: save the initial state, that is all")
      ->check(CLI::NonNegativeNumber);
  optimisation->add_option("--optimizer", o.optimizer, "SGD, Adam or AdamW")
      ->check(CLI::IsMember({"SGD", "Adam", "AdamW"}));
  optimisation
      ->add_option("--grad-accum-steps", o.grad_accum_steps,
                   "batches whose gradients are added up for one step: the result of a batch that much larger, but for "
                   "batch norm")
      ->check(CLI::PositiveNumber);
  optimisation->add_option("--learning-rate", o.learning_rate, "base rate")->check(CLI::PositiveNumber);
  optimisation->add_option("--head-lr-mult", o.head_lr_mult, "the head's rate, in base rates")
      ->check(CLI::NonNegativeNumber);
  optimisation->add_option("--momentum", o.momentum, "of SGD")->check(CLI::Range(0.0, 1.0));
  optimisation->add_option("--weight-decay", o.weight_decay, "of all optimisers")->check(CLI::NonNegativeNumber);
  optimisation
      ->add_option("--scheduler", o.scheduler,
                   "None (constant rate), OneCycle (up to 10 x the base rate and down), Step (x 0.1 after each epoch, "
                   "or as often "
                   "as --lr-step-size says) or Cosine (down to 0)")
      ->check(CLI::IsMember({"None", "OneCycle", "Step", "Cosine"}));
  optimisation->add_option("--lr-step-size", o.lr_step_size, "steps between two falls of --scheduler Step; 0: an epoch")
      ->check(CLI::NonNegativeNumber);
  optimisation
      ->add_option("--warmup-epochs", o.warmup_epochs,
                   "the rate rises linearly over so many epochs; not with OneCycle, which has its own rise")
      ->check(CLI::NonNegativeNumber);
  optimisation->add_option("--label-smoothing", o.label_smoothing, "share of a label spread over all classes")
      ->check(CLI::Range(0.0, 0.999));
  optimisation->add_option("--clip-norm", o.clip_norm, "largest norm of all gradients together; 0: no limit")
      ->check(CLI::NonNegativeNumber);

  auto* const run = app.add_option_group("Run");
  run->add_option("--resume-checkpoint", o.resume_checkpoint,
                  "go on from this checkpoint; auto: from the last state of --save-checkpoint, if there is one");
  run->add_option("--save-checkpoint", o.save_checkpoint,
                  "file for the best state so far, .pt (PyTorch opens it) or .safetensors; the last state is saved "
                  "beside it, as model.last.pt for model.pt");
  run->add_option("--checkpoint-minutes", o.checkpoint_minutes,
                  "also save the last state after so many minutes within an epoch; 0: not")
      ->check(CLI::NonNegativeNumber);
  run->add_option("--logdir", o.logdir, "folder for TensorBoard events, metrics.jsonl and report.html");
  run->add_option("--seed", o.seed, "of the initial weights, the split, the order and the augmentation");
  run->add_flag(
      "--no-cuda-graph", o.no_cuda_graph,
      "on a GPU, ask for the work of each step anew, rather than record it once and repeat that: slower, with "
      "less of the GPU's memory");
}

void add_machine_options(CLI::App& app, MachineOptions& o) {
  auto* const machine = app.add_option_group("Machine");
  machine->add_option("--device", o.device, "auto (a GPU where one can be used, else the CPU), cpu, or cuda[:n]");
  machine
      ->add_option(
          "--precision", o.precision,
          "f32, or bf16: activations of 16 bits, weights and sums of 32, on GPUs and on processors that multiply "
          "them")
      ->check(CLI::IsMember({"f32", "bf16"}));
  machine
      ->add_option("--threads", o.threads, "threads to compute with; default: AR_NUM_THREADS, else one for each core")
      ->check(CLI::Range(1, 1024));
  machine->add_flag(
      "--profile{profile.json}", o.profile,
      "tell at the end where the time went, and write a trace for ui.perfetto.dev; --profile=FILE: there");
}

void apply_machine_options(const MachineOptions& o) {
  if (o.threads > 0) set_num_threads(o.threads);
  set_device(o.device);
  set_precision(o.precision);
  if (!o.profile.empty()) begin_profile(o.profile);
}

}  // namespace ar::apps
