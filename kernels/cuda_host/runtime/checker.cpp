// Every read and write of a kernel, looked at: is there such memory, is it aligned, has it been
// written, and is no other thread at it at the same time?
//
// The compiler puts calls before the accesses (-fsanitize=thread), meant for ThreadSanitizer; here
// they come to this file, which knows what a GPU's barriers order. A *cell* stands for 4 bytes and
// remembers who wrote them last and who read them. Two accesses of different threads, one of them
// a write, are a race unless ordered:
//
//     by a block's barrier       all that its threads did before, and all they do after
//     by __syncwarp              the same for the lanes of its mask
//
// Blocks are in no order. Shuffles and votes order nothing; atomics do not race with one another.
// For a warp's lanes that is kept as vector clocks (Lamport 1978; Mattern 1989).
#include "checker.h"

#include <stdlib.h>
#include <memory>

namespace cuda_host::checker {
namespace {

struct Mark {            // who was at a cell, when and where
  int32_t thread = -1;   // in its block; -1: nobody
  uint32_t epoch, clock; // barriers of the block, and of the warp, that had passed
  uint64_t block;
  const char* file;      // or an instruction's address, if line is 0
  int32_t line;
  uint8_t bytes;         // which of the four, a bit each
  Access::Kind kind;
};

struct Cell {
  Mark writer, readers[2];
  uint64_t block = 0;           // shared memory: whose
  uint8_t written = 0, on_the_way = 0;  // bytes, a bit each; the latter by cp.async
};

// Memory with a cell for every 4 bytes, made when they are first touched.
class Shadow {
 public:
  Shadow() = default;
  Shadow(uint64_t begin, uint64_t bytes) : begin_(begin), bytes_(bytes) {
    pages_.resize((bytes + 3) / 4 / PAGE + 2);
  }
  bool holds(uint64_t address) const { return address - begin_ < bytes_; }
  uint64_t end() const { return begin_ + bytes_; }
  Cell& at(uint64_t address) {
    const uint64_t i = address / 4 - begin_ / 4;
    std::unique_ptr<Cell[]>& page = pages_[i / PAGE];
    if (!page) page.reset(new Cell[PAGE]);
    return page[i % PAGE];
  }

 private:
  static constexpr uint64_t PAGE = 256;
  uint64_t begin_ = 0, bytes_ = 0;
  std::vector<std::unique_ptr<Cell[]>> pages_;
};

// A checked launch runs on one thread of the operating system, one at a time (library.py).
struct State {
  std::vector<Shadow> global;
  Shadow shared;
  uint64_t library_begin = 0, library_end = 0, serial = 0;  // serial: counts blocks of all launches
  uint32_t epoch = 0;
  std::vector<uint32_t> clock;                  // of a thread
  std::vector<std::vector<uint32_t>> seen;      // by a thread: up to which clock of each lane
  Access* to_be_written = nullptr;              // traced, and its value not known yet
  Access unwritten = {};                        // the first read of what nobody had written
  bool read_unwritten = false;
} state;

void find_library() {
#ifdef __linux__
  dl_iterate_phdr(
      [](dl_phdr_info* library, size_t, void*) {
        uint64_t begin = ~0ull, end = 0;
        for (int i = 0; i < library->dlpi_phnum; ++i) {
          const auto& part = library->dlpi_phdr[i];
          if (part.p_type != PT_LOAD) continue;
          begin = std::min<uint64_t>(begin, library->dlpi_addr + part.p_vaddr);
          end = std::max<uint64_t>(end, library->dlpi_addr + part.p_vaddr + part.p_memsz);
        }
        const uint64_t mine = (uint64_t)&find_library;
        if (mine < begin || mine >= end) return 0;
        state.library_begin = begin, state.library_end = end;
        return 1;
      },
      nullptr);
#endif
}

Access describe(const Mark& mark, uint64_t address, int bytes) {
  Access access = {};
  access.address = address, access.block = mark.block, access.thread = mark.thread;
  access.bytes = bytes, access.kind = mark.kind, access.line = mark.line;
  if (mark.line)
    access.file = mark.file;
  else
    access.instruction = (uint64_t)mark.file - 1 - state.library_begin;  // within the call
  return access;
}

// Who reads shared memory before another has written it lacks a barrier, and is found when the
// other writes. Only if nobody does until the next barrier has nobody written it.
void report_unwritten(Block& block) {
  if (!state.read_unwritten || block.report().kind != Report::NONE) return;
  block.report().kind = Report::UNWRITTEN, block.report().now = state.unwritten;
}

[[noreturn]] void fail(Block& block, Report::Kind kind, const Access& now, const Access& before) {
  Report& report = block.report();
  // An index out of bounds may come from what was read before it was written.
  if (kind != Report::RACE && kind != Report::NOT_WAITED) report_unwritten(block);
  if (report.kind == Report::NONE) report.kind = kind, report.now = now, report.before = before;
  block.stop();
}

bool ordered(const Mark& before, const Mark& now) {
  if (before.block != now.block) return false;
  if (before.thread == now.thread || before.epoch < now.epoch) return true;
  return before.thread / 32 == now.thread / 32 &&
         state.seen[now.thread][before.thread % 32] >= before.clock;
}

// The cell's earlier access that this one races with.
const Mark* race(const Cell& cell, const Mark& now) {
  const auto conflict = [&](const Mark& before) {
    return before.thread >= 0 && (before.bytes & now.bytes) && !ordered(before, now);
  };
  const bool both_atomic = now.kind == Access::ATOMIC && cell.writer.kind == Access::ATOMIC;
  if (!both_atomic && conflict(cell.writer)) return &cell.writer;
  if (now.kind != Access::READ)
    for (const Mark& reader : cell.readers)
      if (conflict(reader)) return &reader;
  return nullptr;
}

void remember(Cell& cell, const Mark& now) {
  if (now.kind != Access::READ) {
    cell.writer = now, cell.written |= now.bytes;
    return;
  }
  // Of two readers that are ordered the later one stands for both.
  Mark& first = cell.readers[0];
  if (first.thread < 0 || (ordered(first, now) && (first.bytes & ~now.bytes) == 0))
    first = now;
  else
    cell.readers[1] = now;
}

Mark mark(Block& block, Access::Kind kind, Place place, const void* instruction) {
  const int thread = block.running();
  Mark now;
  now.thread = thread, now.epoch = state.epoch, now.clock = state.clock[thread];
  now.block = block.number(), now.line = place.line, now.kind = kind;
  now.file = place.line ? place.file : static_cast<const char*>(instruction);
  return now;
}

void trace(Block& block, const Access& now) {
  Launch& launch = block.launch();
  if (block.running() != launch.traced_thread || block.number() != launch.traced_block) return;
  if (launch.trace_length == launch.trace_room) return;
  Access& entry = launch.trace[launch.trace_length++] = now;
  const size_t bytes = std::min<size_t>(now.bytes, sizeof entry.value);
  if (now.kind == Access::WRITE)
    state.to_be_written = &entry;  // this is called before the write
  else if (now.kind != Access::WAIT)
    memcpy(entry.value, reinterpret_cast<void*>(now.address), bytes);
}

void finish_write() {
  if (Access* entry = state.to_be_written) {
    memcpy(entry->value, reinterpret_cast<void*>(entry->address),
           std::min<size_t>(entry->bytes, sizeof entry->value));
    state.to_be_written = nullptr;
  }
}

void look(Block& block, uint64_t address, int bytes, Access::Kind kind, Place place,
          const void* instruction, bool copy = false) {  // copy: the bytes come later
  finish_write();
  if (block.on_stack_of(block.running(), address)) return;
  Mark now = mark(block, kind, place, instruction);
  const uint64_t dynamic = (uint64_t)smem, shared_bytes = block.launch().shared_bytes;
  Shadow* shadow = nullptr;
  if (address - block.statics() < block.statics_bytes()) {
    for (const void* own : {(void*)&threadIdx, (void*)&blockIdx, (void*)&blockDim, (void*)&gridDim})
      if (address - (uint64_t)own < sizeof(uint3)) return;
    const bool in_dynamic = address - dynamic < MOST_SHARED_BYTES;
    if (!in_dynamic || address + bytes <= dynamic + shared_bytes) shadow = &state.shared;
  } else {
    for (Shadow& array : state.global)
      if (array.holds(address) && address + bytes <= array.end()) shadow = &array;
    // Tables and __constant__ memory of the source.
    if (!shadow && address >= state.library_begin && address < state.library_end) return;
  }
  const Access access = describe(now, address, bytes);
  if (!shadow) fail(block, Report::OUTSIDE, access, {});
  if (bytes <= 16 && address % bytes) fail(block, Report::MISALIGNED, access, {});

  const bool shared = shadow == &state.shared;
  for (uint64_t word = address & ~3ull; word < address + bytes; word += 4) {
    Cell& cell = shadow->at(word);
    if (shared && cell.block != state.serial) {
      cell = Cell();
      cell.block = state.serial;
    }
    now.bytes = 0;
    for (int i = 0; i < 4; ++i)
      if (word + i >= address && word + i < address + bytes) now.bytes |= 1 << i;
    if (cell.on_the_way & now.bytes)
      fail(block, Report::NOT_WAITED, access, describe(cell.writer, word, 4));
    if (shared && kind != Access::WRITE && (now.bytes & ~cell.written) && !state.read_unwritten)
      state.read_unwritten = true, state.unwritten = access;
    if (const Mark* before = race(cell, now))
      fail(block, Report::RACE, access, describe(*before, word, 4));
    remember(cell, now);
    if (copy) cell.on_the_way |= now.bytes;
  }
  if (!copy) trace(block, access);
}
}  // namespace

void launch_begins(const Launch& launch) {
  find_library();
  state.global.clear();
  for (int i = 0; i < launch.region_count; ++i)
    state.global.emplace_back(launch.regions[i].begin, launch.regions[i].bytes);
}

void block_begins(Block& block) {
  if (!state.shared.holds(block.statics()))
    state.shared = Shadow(block.statics(), block.statics_bytes());
  ++state.serial;
  state.epoch = 1, state.read_unwritten = false, state.to_be_written = nullptr;
  state.clock.assign(block.size(), 1);
  state.seen.assign(block.size(), std::vector<uint32_t>(32, 0));
  block.launch().statics = block.statics(), block.launch().dynamic = (uint64_t)smem;
}

void misaligned(Block& block, uint64_t address, int alignment, Place place) {
  const Mark now = mark(block, Access::READ, place, nullptr);
  fail(block, Report::MISALIGNED, describe(now, address, alignment), {});
}

// The thread's last write is done by now.
void thread_waits(Block& block, Place place) {
  finish_write();
  trace(block, describe(mark(block, Access::WAIT, place, nullptr), 0, 0));
}

void thread_ends(Block&) { finish_write(); }

void block_synchronised(Block& block) {
  report_unwritten(block);
  ++state.epoch;
}

void block_ends(Block& block) { report_unwritten(block); }

void warp_synchronised(Block& block, int first, uint32_t mask) {
  std::vector<uint32_t> all(32, 0);
  for (int l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    for (int other = 0; other < 32; ++other)
      all[other] = std::max(all[other], state.seen[first + l][other]);
    all[l] = std::max(all[l], state.clock[first + l]++);
  }
  for (int l = 0; l < 32 && first + l < block.size(); ++l)
    if (mask >> l & 1) state.seen[first + l] = all;
}

void access(Block& block, void* address, int bytes, Access::Kind kind, Place place) {
  look(block, (uint64_t)address, bytes, kind, place, nullptr);
}

void copy_begins(Block& block, const Copy& copy) {
  if (copy.inside)
    look(block, (uint64_t)copy.global, copy.bytes, Access::READ, copy.place, nullptr);
  look(block, (uint64_t)copy.shared, copy.bytes, Access::WRITE, copy.place, nullptr, true);
}

void copy_ends(Block& block, const Copy& copy) {
  Mark now = mark(block, Access::WRITE, copy.place, nullptr);
  now.bytes = 0xf;
  for (int i = 0; i < copy.bytes; i += 4) {
    Cell& cell = state.shared.at((uint64_t)copy.shared + i);
    cell.on_the_way = 0, cell.writer = now;
  }
  trace(block, describe(now, (uint64_t)copy.shared, copy.bytes));
}
}  // namespace cuda_host::checker

// ---- what the compiler calls -----------------------------------------------------------------

using cuda_host::Access;
using cuda_host::Block;

#define CHECKED(name, bytes, kind)                                                             \
  extern "C" void name(void* address) {                                                        \
    if (Block* block = Block::current())                                                       \
      cuda_host::checker::look(*block, (uint64_t)address, bytes, kind, {nullptr, 0},           \
                               __builtin_return_address(0));                                   \
  }
#define CHECKED_SIZE(bytes)                                     \
  CHECKED(__tsan_read##bytes, bytes, Access::READ)              \
  CHECKED(__tsan_write##bytes, bytes, Access::WRITE)            \
  CHECKED(__tsan_unaligned_read##bytes, bytes, Access::READ)    \
  CHECKED(__tsan_unaligned_write##bytes, bytes, Access::WRITE)
CHECKED_SIZE(1)
CHECKED_SIZE(2)
CHECKED_SIZE(4)
CHECKED_SIZE(8)
CHECKED_SIZE(16)

#define CHECKED_RANGE(name, kind)                                                              \
  extern "C" void name(void* address, unsigned long bytes) {                                   \
    if (Block* block = Block::current())                                                       \
      cuda_host::checker::look(*block, (uint64_t)address, (int)bytes, kind, {nullptr, 0},      \
                               __builtin_return_address(0));                                   \
  }
CHECKED_RANGE(__tsan_read_range, Access::READ)
CHECKED_RANGE(__tsan_write_range, Access::WRITE)

extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
// clang calls these for what C++ copies by memcpy.
extern "C" void* __tsan_memcpy(void* to, const void* from, unsigned long bytes) {
  __tsan_read_range(const_cast<void*>(from), bytes);
  __tsan_write_range(to, bytes);
  return memcpy(to, from, bytes);
}
extern "C" void* __tsan_memset(void* to, int value, unsigned long bytes) {
  __tsan_write_range(to, bytes);
  return memset(to, value, bytes);
}

// The layouts of -fsanitize=bounds,alignment: the same for g++ and clang++.
struct SourcePlace {
  const char* file;
  uint32_t line, column;
};
struct TypeName {
  uint16_t kind, info;
  char name[1];  // in quotes
};
struct OutOfBounds {
  SourcePlace place;
  const TypeName *array, *index;
};
struct TypeMismatch {
  SourcePlace place;
  const TypeName* type;
  uint8_t log_alignment, check;
};

extern "C" void __ubsan_handle_out_of_bounds(const OutOfBounds* found, uint64_t index) {
  Block* block = Block::current();
  if (!block) return;
  block->say("out of bounds: index %lld of an array of type %s, at %s:%u, thread (%u, %u, %u) of "
             "block (%u, %u, %u)",
             (long long)index, found->array->name, found->place.file, found->place.line,
             threadIdx.x, threadIdx.y, threadIdx.z, blockIdx.x, blockIdx.y, blockIdx.z);
  block->stop();
}

extern "C" void __ubsan_handle_type_mismatch_v1(const TypeMismatch* found, uint64_t address) {
  Block* block = Block::current();
  // A null pointer, which a compiler may report here too, is found by the access itself.
  if (!block || address >> found->log_alignment << found->log_alignment == address) return;
  const cuda_host::Place place = {found->place.file, (int)found->place.line};
  cuda_host::checker::misaligned(*block, address, 1 << found->log_alignment, place);
}
