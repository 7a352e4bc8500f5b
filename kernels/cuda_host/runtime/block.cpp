#include "block.h"

#include <mutex>
#include <thread>
#include "checker.h"

__thread uint3 threadIdx, blockIdx;
__thread dim3 blockDim, gridDim;
thread_local __align__(16) unsigned char smem[cuda_host::MOST_SHARED_BYTES];
#ifdef __APPLE__
#define CUDA_HOST_SYMBOL(name) "_" name
#else
#define CUDA_HOST_SYMBOL(name) name
#endif
// A kernel that declares smem calls its initialiser, which g++ makes only where one is needed.
extern "C" __attribute__((used)) void cuda_host_initialise_smem() __asm__(CUDA_HOST_SYMBOL("_ZTH4smem"));
extern "C" void cuda_host_initialise_smem() {}

namespace cuda_host {

static __thread Block* current_block;
Block*& Block::current() { return current_block; }

void Block::say(const char* format, ...) {
  va_list values;
  va_start(values, format);
  vsnprintf(report_->text, sizeof report_->text, format, values);
  va_end(values);
  report_->kind = Report::SENTENCE;
}

// ---- threads ---------------------------------------------------------------------------------

void Block::enter() {
  Block& block = *current_block;
  block.launch_->thread(block.launch_->arguments);
  checker::thread_ends(block);
  Fiber& fiber = block.fibers_[block.running_];
  fiber.state = Fiber::DONE;
  fiber.copies.clear(), fiber.groups.clear();
  // Those at the barrier do not wait for a thread that has left.
  if (--block.alive_ > 0 && block.at_barrier_ == block.alive_) block.release_barrier();
  block.switch_back();
  __builtin_unreachable();
}

void Block::switch_to(int i) {
  running_ = i;
  threadIdx = fibers_[i].index;
  cuda_host_switch_stack(&scheduler_, fibers_[i].stack);
}

void Block::switch_back() { cuda_host_switch_stack(&fibers_[running_].stack, scheduler_); }

void Block::stop() {
  switch_back();
  __builtin_unreachable();
}

void Block::wait(int state, const char* name, Place place) {
  Fiber& fiber = fibers_[running_];
  fiber.state = static_cast<decltype(fiber.state)>(state);
  fiber.waits_for = name, fiber.place = place;
  switch_back();
}

// One pass over the threads runs each that does not wait, in an order that the launch chooses.
void Block::next_order(std::vector<int>& order) {
  order.resize(size_);
  std::iota(order.begin(), order.end(), 0);
  if (launch_->order == 1) std::reverse(order.begin(), order.end());
  if (launch_->order > 1)
    for (int i = size_ - 1; i > 0; --i) {
      random_ = random_ * 1664525u + 1013904223u;
      std::swap(order[i], order[(uint64_t)random_ * (i + 1) >> 32]);
    }
}

void Block::run(Launch& launch, uint64_t number, Report& report) {
  launch_ = &launch, report_ = &report, number_ = number;
  current_block = this;
  const uint32_t *grid = launch.grid, *block = launch.block;
  gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
  blockIdx = {uint32_t(number % grid[0]), uint32_t(number / grid[0] % grid[1]),
              uint32_t(number / grid[0] / grid[1])};
  fill_shared();

  size_ = alive_ = block[0] * block[1] * block[2];
  stacks_.at_least(size_);
  if (stacks_.count() < size_) {
    say("there is no memory for the stacks of %d threads", size_);
    return;
  }
  if ((int)fibers_.size() < size_) fibers_.resize(size_);
  at_barrier_ = 0, votes_ = {};
  random_ = launch.order * 2654435761u + (uint32_t)number;
  for (int i = 0; i < size_; ++i) {
    Fiber& fiber = fibers_[i];
    fiber.state = Fiber::READY, fiber.mask = 0, fiber.waits_for = "";
    fiber.copies.clear(), fiber.groups.clear();
    fiber.index = {i % block[0], i / block[0] % block[1], i / (block[0] * block[1])};
    fiber.stack = stacks_.fresh(i, enter);
  }
  checker::block_begins(*this);

  std::vector<int> order;
  next_order(order);
  while (alive_ > 0 && report.kind == Report::NONE) {
    bool moved = false;
    for (int i : order) {
      if (fibers_[i].state != Fiber::READY) continue;
      switch_to(i);
      moved = true;
      if (report.kind != Report::NONE) break;
    }
    if (!moved) report_deadlock();
    if (launch.order > 1) next_order(order);
  }
  checker::block_ends(*this);
  current_block = nullptr;
}

// ---- barriers --------------------------------------------------------------------------------

Votes Block::barrier(const char* name, Place place, bool vote) {
  checker::thread_waits(*this, place);
  if (at_barrier_)
    for (int i = 0; i < size_; ++i) {
      const Fiber& other = fibers_[i];
      if (other.state != Fiber::AT_BARRIER) continue;
      if (other.place.line != place.line || strcmp(other.place.file, place.file) != 0) {
        say("divergent barrier: thread (%u, %u, %u) waits in %s at %s:%d, but thread (%u, %u, %u) "
            "in %s at %s:%d. All threads of a block must meet at the same barrier",
            threadIdx.x, threadIdx.y, threadIdx.z, name, place.file, place.line, other.index.x,
            other.index.y, other.index.z, other.waits_for, other.place.file, other.place.line);
        stop();
      }
      break;
    }
  votes_.threads += 1, votes_.yes += vote;
  if (++at_barrier_ == alive_)
    release_barrier();
  else
    wait(Fiber::AT_BARRIER, name, place);
  if (report_->kind != Report::NONE) stop();
  return result_;
}

void Block::release_barrier() {
  at_barrier_ = 0, result_ = votes_, votes_ = {};
  for (int i = 0; i < size_; ++i)
    if (fibers_[i].state == Fiber::AT_BARRIER) fibers_[i].state = Fiber::READY;
  checker::block_synchronised(*this);
}

// ---- warps -----------------------------------------------------------------------------------

void Block::warp_operation(const char* name, Place place, uint32_t mask, Lane& mine,
                           Complete complete) {
  checker::thread_waits(*this, place);
  const int lane = running_ % 32, first = running_ - lane;
  if (size_ - first < 32) mask &= (1u << (size_ - first)) - 1;  // the last warp may be short
  if (!(mask >> lane & 1)) {
    say("%s at %s:%d: thread (%u, %u, %u) is lane %d, which its own mask %#x leaves out", name,
        place.file, place.line, threadIdx.x, threadIdx.y, threadIdx.z, lane, mask);
    stop();
  }
  Fiber& self = fibers_[running_];
  self.lane = &mine, self.mask = mask;
  bool all_here = true;
  for (int l = 0; l < 32; ++l) {
    if (l == lane || !(mask >> l & 1)) continue;
    const Fiber& other = fibers_[first + l];
    // It may still be busy with lanes that this one is not among.
    if (other.state != Fiber::IN_WARP || !(other.mask >> lane & 1)) {
      all_here = false;
    } else if (other.mask != mask || strcmp(other.waits_for, name) != 0) {
      say("warp operations do not match: lane %d calls %s with mask %#x at %s:%d, lane %d calls %s "
          "with mask %#x at %s:%d",
          lane, name, mask, place.file, place.line, l, other.waits_for, other.mask,
          other.place.file, other.place.line);
      stop();
    }
  }
  if (!all_here) return wait(Fiber::IN_WARP, name, place);

  Lane lanes[32];
  for (int l = 0; l < 32; ++l)
    if (mask >> l & 1) lanes[l] = *fibers_[first + l].lane;
  if (complete) complete(lanes, mask);
  for (int l = 0; l < 32; ++l)
    if (mask >> l & 1) {
      *fibers_[first + l].lane = lanes[l];
      fibers_[first + l].state = Fiber::READY;
    }
  // Shuffles and votes move registers; memory is in order only after __syncwarp.
  if (!complete) checker::warp_synchronised(*this, first, mask);
}

void Block::report_deadlock() {
  // A warp operation that waits for lanes which cannot come tells most.
  for (int i = 0; i < size_; ++i) {
    const Fiber& fiber = fibers_[i];
    if (fiber.state != Fiber::IN_WARP) continue;
    const int first = i - i % 32;
    for (int l = 0; l < 32; ++l) {
      const Fiber& other = fibers_[first + l];
      if (!(fiber.mask >> l & 1) || other.state == Fiber::IN_WARP) continue;
      char where[512] = "has left the kernel";
      if (other.state == Fiber::AT_BARRIER)
        snprintf(where, sizeof where, "waits in %s at %s:%d", other.waits_for, other.place.file,
                 other.place.line);
      return say("%s at %s:%d waits for ever: lane %d of its mask %#x does not come, thread "
                 "(%u, %u, %u) %s",
                 fiber.waits_for, fiber.place.file, fiber.place.line, l, fiber.mask, other.index.x,
                 other.index.y, other.index.z, where);
    }
  }
  for (int i = 0; i < size_; ++i)
    if (const Fiber& fiber = fibers_[i]; fiber.state != Fiber::DONE)
      return say("%s at %s:%d waits for ever, thread (%u, %u, %u) and others: not all threads of "
                 "the block come here",
                 fiber.waits_for, fiber.place.file, fiber.place.line, fiber.index.x, fiber.index.y,
                 fiber.index.z);
}

// ---- copies ----------------------------------------------------------------------------------

void Block::copy_later(const Copy& copy) {
  Fiber& fiber = fibers_[running_];
  checker::copy_begins(*this, copy);
  if ((uint64_t)copy.shared % copy.bytes || (copy.inside && (uint64_t)copy.global % copy.bytes)) {
    say("cp.async of %d bytes at %s:%d: addresses must divide by %d, but thread (%u, %u, %u) copies "
        "from %p to %p",
        copy.bytes, copy.place.file, copy.place.line, copy.bytes, threadIdx.x, threadIdx.y,
        threadIdx.z, copy.global, copy.shared);
    stop();
  }
  memset(copy.shared, 0xff, copy.bytes);
  fiber.copies.push_back(copy);
}

void Block::commit_copies() {
  Fiber& fiber = fibers_[running_];
  const size_t before = std::accumulate(fiber.groups.begin(), fiber.groups.end(), (size_t)0);
  fiber.groups.push_back(fiber.copies.size() - before);
}

void Block::wait_for_copies(int groups_left) {
  Fiber& fiber = fibers_[running_];
  const size_t done = fiber.groups.size() - std::min<size_t>(groups_left, fiber.groups.size());
  const size_t count = std::accumulate(fiber.groups.begin(), fiber.groups.begin() + done, (size_t)0);
  for (size_t i = 0; i < count; ++i) {
    const Copy& copy = fiber.copies[i];
    if (copy.inside)
      memcpy(copy.shared, copy.global, copy.bytes);
    else
      memset(copy.shared, 0, copy.bytes);
    checker::copy_ends(*this, copy);
  }
  fiber.copies.erase(fiber.copies.begin(), fiber.copies.begin() + count);
  fiber.groups.erase(fiber.groups.begin(), fiber.groups.begin() + done);
}

// ---- shared memory ---------------------------------------------------------------------------

// The part of this thread's (of the operating system) own memory that belongs to this library.
void Block::find_statics() {
  statics_ = nullptr, statics_bytes_ = 0;
#ifdef __linux__
  dl_iterate_phdr(
      [](dl_phdr_info* library, size_t, void* data) {
        Block& block = *static_cast<Block*>(data);
        char* begin = static_cast<char*>(library->dlpi_tls_data);
        const char* mine = reinterpret_cast<char*>(&current_block);
        for (int i = 0; begin && i < library->dlpi_phnum; ++i) {
          const size_t bytes = library->dlpi_phdr[i].p_memsz;
          if (library->dlpi_phdr[i].p_type == PT_TLS && mine >= begin && mine < begin + bytes)
            block.statics_ = begin, block.statics_bytes_ = bytes;
        }
        return block.statics_ != nullptr ? 1 : 0;
      },
      this);
#endif
}

// Shared memory holds anything when a block starts: here NaN, and -1.
void Block::fill_shared() {
  Block* const block = current_block;
  const uint3 index = blockIdx;
  const dim3 of = blockDim, grid = gridDim;
  if (statics_) {
    char *dynamic = reinterpret_cast<char*>(smem), *end = statics_ + statics_bytes_;
    memset(statics_, 0xff, dynamic - statics_);
    memset(dynamic + sizeof smem, 0xff, end - dynamic - sizeof smem);
  }
  memset(smem, 0xff, launch_->shared_bytes);
  current_block = block, blockIdx = index, blockDim = of, gridDim = grid;
}

// ---- what kernels call -----------------------------------------------------------------------

Votes block_barrier(const char* name, Place place, bool vote) {
  return current_block->barrier(name, place, vote);
}
void warp_operation(const char* name, Place place, uint32_t mask, Lane& mine, Complete complete) {
  current_block->warp_operation(name, place, mask, mine, complete);
}
int lane_index() { return current_block->running() % 32; }

void shuffle(Lane* lanes, uint32_t mask) {
  for (int l = 0; l < 32; ++l)
    if (mask >> l & 1) {
      // The value of a lane that does not take part is undefined.
      const int source = lanes[l].source & 31;
      lanes[l].out[0] = mask >> source & 1 ? lanes[source].in[0] : ~0ull;
    }
}
void ballot(Lane* lanes, uint32_t mask) {
  uint64_t yes = 0;
  for (int l = 0; l < 32; ++l)
    if (mask >> l & 1) yes |= lanes[l].in[0] << l;
  for (int l = 0; l < 32; ++l) lanes[l].out[0] = yes;
}

// Lane 4 g + t holds a[g][t], a[g + 8][t], a[g][t + 4], a[g + 8][t + 4], then b[t][g], b[t + 4][g],
// and c[g][2 t], c[g][2 t + 1], c[g + 8][2 t], c[g + 8][2 t + 1].
void mma_m16n8k8(Lane* lanes, uint32_t) {
  float a[16][8], b[8][8], c[16][8];
  const auto tf32 = [](uint64_t words, int half) {
    const uint32_t bits = uint32_t(words >> 32 * half) & ~0x1fffu;  // the unit ignores the rest
    float value;
    memcpy(&value, &bits, 4);
    return value;
  };
  for (int l = 0; l < 32; ++l) {
    const int g = l / 4, t = l % 4;
    const uint64_t* in = lanes[l].in;
    float mine[4];
    memcpy(mine, in, 16);
    c[g][2 * t] = mine[0], c[g][2 * t + 1] = mine[1];
    c[g + 8][2 * t] = mine[2], c[g + 8][2 * t + 1] = mine[3];
    a[g][t] = tf32(in[2], 0), a[g + 8][t] = tf32(in[2], 1);
    a[g][t + 4] = tf32(in[3], 0), a[g + 8][t + 4] = tf32(in[3], 1);
    b[t][g] = tf32(in[4], 0), b[t + 4][g] = tf32(in[4], 1);
  }
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      double sum = c[i][j];
      for (int k = 0; k < 8; ++k) sum += (double)a[i][k] * b[k][j];
      c[i][j] = (float)sum;
    }
  for (int l = 0; l < 32; ++l) {
    const int g = l / 4, t = l % 4;
    const float mine[4] = {c[g][2 * t], c[g][2 * t + 1], c[g + 8][2 * t], c[g + 8][2 * t + 1]};
    memcpy(lanes[l].out, mine, 16);
  }
}

void copy_later(void* shared, const void* global, int bytes, bool inside, Place place) {
  current_block->copy_later({shared, global, bytes, inside, place});
}
void commit_copies() { current_block->commit_copies(); }
void wait_for_copies(int groups_left) { current_block->wait_for_copies(groups_left); }

uint64_t atomic_load(void* p, int size, Place place) {
  checker::access(*current_block, p, size, Access::ATOMIC, place);
  return size == 4 ? __atomic_load_n(static_cast<uint32_t*>(p), __ATOMIC_RELAXED)
                   : __atomic_load_n(static_cast<uint64_t*>(p), __ATOMIC_RELAXED);
}
template <class T> static T swap(void* p, T expected, T desired) {
  __atomic_compare_exchange_n(static_cast<T*>(p), &expected, desired, false, __ATOMIC_RELAXED,
                              __ATOMIC_RELAXED);
  return expected;  // what was found
}
uint64_t compare_and_swap(void* p, uint64_t expected, uint64_t desired, int size, Place) {
  return size == 4 ? swap<uint32_t>(p, expected, desired) : swap<uint64_t>(p, expected, desired);
}

// ---- a launch --------------------------------------------------------------------------------

// Blocks with their stacks, kept from launch to launch.
static std::mutex idle_lock;
static std::vector<Block*> idle;

static void work(Launch& launch, std::atomic<uint64_t>& next, std::atomic<bool>& failed,
                 Report& report) {
  Block* block = nullptr;
  {
    std::lock_guard<std::mutex> hold(idle_lock);
    if (!idle.empty()) block = idle.back(), idle.pop_back();
  }
  if (!block) block = new Block;
  block->find_statics();
  const uint64_t blocks = (uint64_t)launch.grid[0] * launch.grid[1] * launch.grid[2];
  Report mine = {};
  for (uint64_t i; !failed && (i = next++) < blocks;) {
    block->run(launch, i, mine);
    if (mine.kind != Report::NONE && !failed.exchange(true)) report = mine;
  }
  std::lock_guard<std::mutex> hold(idle_lock);
  idle.push_back(block);
}

}  // namespace cuda_host

extern "C" __attribute__((visibility("default"), used)) int cuda_host_launch(
    cuda_host::Launch* launch, cuda_host::Report* report) {
  std::atomic<uint64_t> next{0};
  std::atomic<bool> failed{false};
  *report = {};
  cuda_host::checker::launch_begins(*launch);
  std::vector<std::thread> others;
  for (int i = 1; i < launch->workers; ++i)
    others.emplace_back([&] { cuda_host::work(*launch, next, failed, *report); });
  cuda_host::work(*launch, next, failed, *report);
  for (std::thread& other : others) other.join();
  fflush(stdout);
  return report->kind;
}
