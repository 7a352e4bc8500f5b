// What the checked build finds out about every read and write (see checker.cpp). In a build that is
// not checked all of this is empty.
#pragma once
#include "block.h"

namespace cuda_host::checker {
#ifdef CUDA_HOST_CHECK
void launch_begins(const Launch& launch);
void block_begins(Block& block);
void block_ends(Block& block);
void thread_waits(Block& block, Place place);
void thread_ends(Block& block);
void block_synchronised(Block& block);  // may leave a report
void warp_synchronised(Block& block, int first_thread, uint32_t mask);
void access(Block& block, void* address, int bytes, Access::Kind kind, Place place);
void copy_begins(Block& block, const Copy& copy);
void copy_ends(Block& block, const Copy& copy);
#else
inline void launch_begins(const Launch&) {}
inline void block_begins(Block&) {}
inline void block_ends(Block&) {}
inline void thread_waits(Block&, Place) {}
inline void thread_ends(Block&) {}
inline void block_synchronised(Block&) {}
inline void warp_synchronised(Block&, int, uint32_t) {}
inline void access(Block&, void*, int, Access::Kind, Place) {}
inline void copy_begins(Block&, const Copy&) {}
inline void copy_ends(Block&, const Copy&) {}
#endif
}  // namespace cuda_host::checker
