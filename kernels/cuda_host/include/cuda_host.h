// CUDA C++ as ordinary C++17: put before a .cu file, this header makes it a source that g++ and
// clang++ compile, and whose kernels run on the CPU.
//
// What a kernel may use is in these files, one purpose each; what lies behind is in ../runtime.
#pragma once
#define CUDA_HOST 1
#include "arithmetic.h"
#include "atomics.h"
#include "language.h"
#include "synchronize.h"
#include "tensor_core.h"
