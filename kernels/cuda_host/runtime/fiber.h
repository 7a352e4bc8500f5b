// Fibers: threads of a program that change places only where they say so. A switch saves the
// registers that a function must preserve, exchanges the stacks and returns on the other one.
#pragma once
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// switch_stack(&here, there): leave this stack, remembering it in `here`, for the one `there`.
extern "C" void cuda_host_switch_stack(void** here, void* there) __asm__("cuda_host_switch_stack");

namespace cuda_host {

// Stacks of one size, one after another. Memory that nobody has touched costs nothing. The lowest
// page of each cannot be touched: a kernel that needs more stack stops there.
class Stacks {
 public:
  static constexpr size_t SIZE = 256 * 1024;
  ~Stacks() { clear(); }
  void at_least(int count);
  int count() const { return count_; }
  char* low(int i) const { return memory_ + i * SIZE; }
  char* high(int i) const { return low(i) + SIZE; }
  // A stack that has never run: switching to it calls `entry`, which must not return.
  void* fresh(int i, void (*entry)()) const;

 private:
  void clear();
  char* memory_ = nullptr;
  int count_ = 0;
};
}  // namespace cuda_host
