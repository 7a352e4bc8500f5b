// What comes in from Python for one launch, and what goes back. ../library.py has the same layouts.
#pragma once
#include <stdint.h>
#include <atomic>
#include "../include/language.h"
#include "../include/synchronize.h"

namespace cuda_host {

// One array among the arguments, or memory that the arguments hold addresses of.
struct Region {
  uint64_t begin, bytes;
};

// A read or write of a kernel, for reports and for the trace.
struct Access {
  uint64_t address, block;
  uint64_t instruction;  // where it happened, if `file` is null: offset in the library
  const char* file;
  int32_t line, thread, bytes;
  enum Kind : int32_t { READ, WRITE, ATOMIC, WAIT } kind;  // WAIT: in the trace only
  uint8_t value[16];  // trace only
};

struct Report {
  enum Kind : int32_t {
    NONE,
    SENTENCE,       // `text` says it all, and where
    OUTSIDE,        // an address in no array
    MISALIGNED,
    UNWRITTEN,      // shared memory that nobody has written in this block
    RACE,           // `now` and `before` are not ordered
    NOT_WAITED,     // `before` is a cp.async whose copy has not been waited for
  } kind;
  Access now, before;
  char text[2048];
};

struct Launch {
  void (*thread)(void** arguments);
  void** arguments;
  uint32_t grid[3], block[3];
  uint64_t shared_bytes;
  int32_t order;    // in which threads run between barriers: 0 ascending, 1 descending, else shuffled
  int32_t workers;  // threads of the operating system
  // Checked build only.
  const Region* regions;
  int32_t region_count;
  // Trace: accesses of one thread of one block, as many as there is room for.
  int32_t traced_thread;  // -1: none
  uint64_t traced_block;
  Access* trace;
  uint64_t trace_room, trace_length;
  // Out: where the (last) block's shared memory was, what has a size in the source and what not.
  uint64_t statics, dynamic;
};
}  // namespace cuda_host
