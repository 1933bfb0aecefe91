// All operations on tensors (without gradients).
#pragma once
#include "tensor/ops_conv.h"
#include "tensor/ops_elementwise.h"
#include "tensor/ops_frames.h"
#include "tensor/ops_lstm.h"
#include "tensor/ops_matmul.h"
#include "tensor/ops_norm.h"
#include "tensor/ops_pool.h"
#include "tensor/ops_reduce.h"
#include "tensor/ops_shape.h"
#include "tensor/ops_softmax.h"
