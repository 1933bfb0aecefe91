// Everything that is differentiable.
#pragma once
#include "autograd/checkpoint.h"
#include "autograd/conv.h"
#include "autograd/elementwise.h"
#include "autograd/fused.h"
#include "autograd/loss.h"
#include "autograd/lstm.h"
#include "autograd/matmul.h"
#include "autograd/norm.h"
#include "autograd/pool.h"
#include "autograd/reduce.h"
#include "autograd/shape.h"
#include "autograd/variable.h"
