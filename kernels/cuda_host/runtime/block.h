// One block at a time: its threads as fibers, barriers, warp operations, shared memory.
//
// A thread runs until it waits, at a barrier or for the other lanes of its warp; then the next one
// runs. So nothing happens by chance: a launch with the same order of threads does the same again,
// and a result that depends on the order is a race.
#pragma once
#ifdef __linux__
#include <link.h>
#endif
#include <stdarg.h>
#include <stdio.h>
#include <algorithm>
#include <numeric>
#include <vector>
#include "fiber.h"
#include "launch.h"

namespace cuda_host {

constexpr size_t MOST_SHARED_BYTES = 227 * 1024;

struct Copy {  // by cp.async
  void* shared;
  const void* global;
  int bytes;
  bool inside;
  Place place;
};

struct Fiber {
  void* stack;
  uint3 index;
  enum { READY, AT_BARRIER, IN_WARP, DONE } state;
  const char* waits_for;  // "__syncthreads", ...
  Place place;            // ... at
  uint32_t mask;          // of the warp operation
  Lane* lane;
  std::vector<Copy> copies;           // not yet carried out, oldest first
  std::vector<size_t> groups;         // committed: how many of `copies` belong to each
};

class Block {
 public:
  static Block*& current();
  void find_statics();  // before the first block on a thread of the operating system
  void run(Launch& launch, uint64_t number, Report& report);

  // Called by the threads.
  Votes barrier(const char* name, Place place, bool vote);
  void warp_operation(const char* name, Place place, uint32_t mask, Lane& mine, Complete complete);
  void copy_later(const Copy& copy);
  void commit_copies();
  void wait_for_copies(int groups_left);
  [[noreturn]] void stop();  // after a report: no thread of this block goes on

  int running() const { return running_; }
  Fiber& fiber(int i) { return fibers_[i]; }
  int size() const { return size_; }
  uint64_t number() const { return number_; }
  const Launch& launch() const { return *launch_; }
  Launch& launch() { return *launch_; }
  Report& report() { return *report_; }
  bool on_stack_of(int i, uint64_t address) const {
    return address >= (uint64_t)stacks_.low(i) && address < (uint64_t)stacks_.high(i);
  }
  // This block's shared memory: what kernels declare with a size (and other variables of the
  // library that belong to a thread of the operating system).
  uint64_t statics() const { return (uint64_t)statics_; }
  uint64_t statics_bytes() const { return statics_bytes_; }

  __attribute__((format(printf, 2, 3))) void say(const char* format, ...);

 private:
  static void enter();
  void switch_to(int i);
  void switch_back();
  void wait(int state, const char* name, Place place);
  void release_barrier();
  void next_order(std::vector<int>& order);
  void report_deadlock();
  void fill_shared();

  Launch* launch_ = nullptr;
  Report* report_ = nullptr;
  uint64_t number_ = 0;
  Stacks stacks_;
  std::vector<Fiber> fibers_;
  int size_ = 0, running_ = 0, alive_ = 0;
  void* scheduler_ = nullptr;
  int at_barrier_ = 0;
  Votes votes_ = {}, result_ = {};
  uint32_t random_ = 0;
  char* statics_ = nullptr;
  size_t statics_bytes_ = 0;
};
}  // namespace cuda_host
