// Runs CUDA C kernels on the host: enough of the language for irplan's kernels, in plain C++.
//
// Each thread of a block is a fiber; __syncthreads() hands over to the next fiber until all have
// arrived, so barriers mean what they mean on a device.  Blocks run one after another, which is why
// __shared__ can be a static variable; it is not cleared between blocks, as on a device.  A fiber
// that returns while others still wait at a barrier is an error in the kernel and ends the program.
// cuda_host_reverse turns the order of blocks and threads round: a kernel without races gives the
// same bits.  Fibers are made with ucontext and switched with _setjmp / _longjmp (no system call).
#pragma once

#include <math.h>
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __restrict__
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;

extern "C" {
int cuda_host_reverse = 0;
}

namespace cuda_host {

struct Fiber {
    std::unique_ptr<char[]> stack;
    jmp_buf at;
    dim3 thread;
    bool done = true;
};

static jmp_buf scheduler;
static std::vector<std::unique_ptr<Fiber>> fibers;  // a pool, as large as the largest block so far
static Fiber* current;
static std::function<void()> body;

static void back_to_scheduler()
{
    if (_setjmp(current->at) == 0) _longjmp(scheduler, 1);
}

static void entry()
{
    for (;;) {  // one turn a block
        back_to_scheduler();
        body();
        current->done = true;
    }
}

static void resume(Fiber& fiber)
{
    current = &fiber;
    threadIdx = fiber.thread;
    if (_setjmp(scheduler) == 0) _longjmp(fiber.at, 1);
}

static void add_fiber()
{
    const size_t bytes = 64 * 1024;
    static ucontext_t here, made;
    fibers.emplace_back(new Fiber);
    Fiber& fiber = *fibers.back();
    fiber.stack.reset(new char[bytes]);
    getcontext(&made);
    made.uc_stack.ss_sp = fiber.stack.get();
    made.uc_stack.ss_size = bytes;
    made.uc_link = nullptr;
    makecontext(&made, entry, 0);
    current = &fiber;
    if (_setjmp(scheduler) == 0) swapcontext(&here, &made);  // runs up to the first turn
}

static void run_block(size_t count)
{
    for (size_t n = 0; n < count; ++n) fibers[n]->done = false;
    for (;;) {
        size_t finished = 0, ended = 0;
        for (size_t k = 0; k < count; ++k) {
            Fiber& fiber = *fibers[cuda_host_reverse ? count - 1 - k : k];
            if (fiber.done) {
                ++ended;
            } else {
                resume(fiber);
                finished += fiber.done ? 1 : 0;
            }
        }
        if (finished + ended == count) return;
        if (finished + ended > 0) {
            std::fprintf(stderr, "cuda_host: some threads ended while others wait at a barrier\n");
            std::abort();
        }
    }
}

static void launch(dim3 grid, dim3 block, std::function<void()> kernel)
{
    gridDim = grid;
    blockDim = block;
    body = std::move(kernel);
    const size_t count = (size_t)block.x * block.y * block.z;
    while (fibers.size() < count) add_fiber();
    for (size_t n = 0; n < count; ++n)
        fibers[n]->thread = dim3(n % block.x, n / block.x % block.y, n / block.x / block.y);
    const size_t blocks = (size_t)grid.x * grid.y * grid.z;
    for (size_t k = 0; k < blocks; ++k) {
        const size_t n = cuda_host_reverse ? blocks - 1 - k : k;
        blockIdx = dim3(n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y);
        run_block(count);
    }
}

// The driver's calling convention: an array of pointers to the arguments.
template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** args, std::index_sequence<I...>)
{
    kernel(*static_cast<A*>(args[I])...);
}

template <class... A>
static void launch_with(void (*kernel)(A...), const unsigned* grid, const unsigned* block,
                        void** args)
{
    launch(dim3(grid[0], grid[1], grid[2]), dim3(block[0], block[1], block[2]),
           [=] { call(kernel, args, std::index_sequence_for<A...>()); });
}

// One letter an argument (NumPy's type characters), "P" before it for a pointer to that.
template <class T> struct Code;
template <> struct Code<float> { static const char* text() { return "f"; } };
template <> struct Code<double> { static const char* text() { return "d"; } };
template <> struct Code<int> { static const char* text() { return "i"; } };
template <> struct Code<unsigned> { static const char* text() { return "I"; } };
template <> struct Code<long long> { static const char* text() { return "l"; } };
template <> struct Code<unsigned char> { static const char* text() { return "B"; } };
template <class T> struct Code<const T> : Code<T> {};
template <class T> struct Code<T*> {
    static std::string text() { return std::string("P") + Code<T>::text(); }
};

template <class... A> static std::string codes(void (*)(A...))
{
    std::string out;
    ((out += Code<A>::text(), out += ' '), ...);
    return out;
}

}  // namespace cuda_host

#define CUDA_HOST_KERNEL(name)                                                                 \
    extern "C" void host_##name(const unsigned* grid, const unsigned* block, void** args)     \
    {                                                                                          \
        cuda_host::launch_with(name, grid, block, args);                                       \
    }                                                                                          \
    extern "C" const char* codes_##name()                                                      \
    {                                                                                          \
        static const std::string text = cuda_host::codes(name);                               \
        return text.c_str();                                                                   \
    }

static inline void __syncthreads()
{
    cuda_host::Fiber* me = cuda_host::current;
    cuda_host::back_to_scheduler();
    cuda_host::current = me;
    threadIdx = me->thread;
}

static inline int max(int a, int b) { return a > b ? a : b; }
static inline int min(int a, int b) { return a < b ? a : b; }

static inline int __float_as_int(float x)
{
    int bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// Fibers never interrupt one another, so plain updates are atomic here.
template <class T> static inline T atomicAdd(T* at, T value)
{
    T old = *at;
    *at += value;
    return old;
}

template <class T> static inline T atomicMax(T* at, T value)
{
    T old = *at;
    if (value > old) *at = value;
    return old;
}
