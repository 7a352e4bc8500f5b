#include "fiber.h"

#if defined(__APPLE__)
#define CUDA_HOST_HIDDEN ".private_extern cuda_host_switch_stack\n"
#else
#define CUDA_HOST_HIDDEN ".hidden cuda_host_switch_stack\n"
#endif
#define CUDA_HOST_FUNCTION \
  ".text\n.globl cuda_host_switch_stack\n" CUDA_HOST_HIDDEN ".p2align 4\ncuda_host_switch_stack:\n"

// SAVED words lie on a stack that is not running, the address to return to at RETURN among them.
#if defined(__x86_64__)
__asm__(CUDA_HOST_FUNCTION R"(
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
enum { SAVED = 8, RETURN = 6 };
#elif defined(__aarch64__)
__asm__(CUDA_HOST_FUNCTION R"(
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
enum { SAVED = 20, RETURN = 11 };
#else
#error "cuda_host: threads of a block need a context switch for this processor (runtime/fiber.h)"
#endif

namespace cuda_host {

void* Stacks::fresh(int i, void (*entry)()) const {
  void** top = reinterpret_cast<void**>(high(i)) - 2 - SAVED;  // aligned as a call would leave it
  memset(top, 0, SAVED * sizeof *top);
  top[RETURN] = reinterpret_cast<void*>(entry);
  return top;
}

void Stacks::at_least(int count) {
  if (count <= count_) return;
  clear();
  memory_ = static_cast<char*>(mmap(nullptr, count * SIZE, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (memory_ == MAP_FAILED) memory_ = nullptr;
  count_ = memory_ ? count : 0;
  for (int i = 0; i < count_; ++i) mprotect(low(i), sysconf(_SC_PAGESIZE), PROT_NONE);
}

void Stacks::clear() {
  if (memory_) munmap(memory_, count_ * SIZE);
  memory_ = nullptr, count_ = 0;
}
}  // namespace cuda_host
