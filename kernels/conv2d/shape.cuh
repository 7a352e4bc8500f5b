// The sizes of one convolution, in the order of dims.py: x (N, C, H, W), w (K, C / groups, R, S),
// y (N, K, P, Q). Offsets into arrays are 64 bits wide.
#pragma once

struct Conv2dShape {
  int N, C, H, W, K, R, S, P, Q;
  int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
};
