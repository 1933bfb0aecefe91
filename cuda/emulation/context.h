// A fiber's processor state: registers saved on its own stack, and 16 instructions to change to another one.
// Included by emulation.cpp alone (the routine below is defined here).
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cstddef>

#if defined(__x86_64__) && !defined(AR_EMULATION_UCONTEXT)
// Saves the callee-saved registers on the old stack, the stack pointer in *save; takes up the new one.
extern "C" void ar_cuda_emulation_switch(void** save, void* to);
asm(R"(
.pushsection .text
.type ar_cuda_emulation_switch, @function
ar_cuda_emulation_switch:
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
  popq %rcx  # not ret: its predicted target is always wrong here (twice the speed)
  jmp *%rcx
.size ar_cuda_emulation_switch, .-ar_cuda_emulation_switch
.popsection
)");
namespace ar::emulation {
struct Context {
  void* stack_pointer = nullptr;
  void prepare(char* stack, std::size_t bytes, void (*entry)()) {
    void** top = reinterpret_cast<void**>(stack + bytes) - 2;  // entry sees rsp = 16 n + 8, as after a call
    top[0] = reinterpret_cast<void*>(entry);
    top[1] = nullptr;  // end of the call chain for debuggers
    std::fill(top - 6, top, nullptr);
    stack_pointer = top - 6;
  }
  static void change(Context& from, Context& to) { ar_cuda_emulation_switch(&from.stack_pointer, to.stack_pointer); }
};
}  // namespace ar::emulation
#else
namespace ar::emulation {
struct Context {
  ucontext_t state;
  void prepare(char* stack, std::size_t bytes, void (*entry)()) {
    getcontext(&state);
    state.uc_stack.ss_sp = stack;
    state.uc_stack.ss_size = bytes;
    state.uc_link = nullptr;
    makecontext(&state, entry, 0);
  }
  static void change(Context& from, Context& to) { swapcontext(&from.state, &to.state); }
};
}  // namespace ar::emulation
#endif
