// The whole library.
#pragma once
#include "autograd/autograd.h"
#include "autograd/dense_block.h"
#include "nn/nn.h"
#include "tensor/backend.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
