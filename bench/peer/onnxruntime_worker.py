"""Inference of a network in ONNX Runtime; prints one line of JSON. --save makes the model file (with PyTorch's exporter)."""
import argparse
import time

import measure


def save(path, name):
    import torch
    import pytorch_worker
    torch.manual_seed(0)
    model = pytorch_worker.network(name).eval()
    x = torch.randn(1, 3, size_of(name), size_of(name))
    torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})


def size_of(name):
    return {"caffenet": 227}.get(name, 224)


def session(path):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = measure.threads()
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", choices=["inference", "first"], required=True)
    parser.add_argument("--network", default="densenet121")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--file", required=True, help="the ONNX model")
    parser.add_argument("--save", action="store_true", help="only write the model")
    arguments = parser.parse_args()
    if arguments.save:
        save(arguments.file, arguments.network)
    else:
        import numpy
        import onnxruntime
        model = session(arguments.file)
        x = numpy.random.default_rng(0).standard_normal((arguments.batch, 3, size_of(arguments.network), size_of(arguments.network)), dtype=numpy.float32)
        if arguments.workload == "first":
            start = time.perf_counter()
            model.run(None, {"x": x})
            print(measure.json.dumps({"tool": "onnxruntime", "workload": "first", "inference": time.perf_counter() - start}), flush=True)
        else:
            result = measure.measure(lambda: model.run(None, {"x": x}), arguments.samples, warmup=4)
            measure.report("onnxruntime", onnxruntime.__version__, arguments, "images/s", arguments.batch, result, variant="")
