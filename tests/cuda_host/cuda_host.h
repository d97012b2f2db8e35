// Runs CUDA C kernels on the host: enough of the language for irplan's kernels, in plain C++.
//
// Each thread of a block is a ucontext fiber; __syncthreads() hands over to the next fiber until
// all have arrived, so barriers mean what they mean on a device.  Blocks run one after another,
// which is why __shared__ can be a static variable.  A fiber that returns while others still wait
// at a barrier is an error in the kernel; it is reported.
#pragma once

#include <math.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __shared__ static

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_host {

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    dim3 thread;
    bool done = false;
    long barriers = 0;
};

static ucontext_t scheduler;
static std::vector<Fiber> fibers;
static size_t current;
static std::function<void()> body;

static void entry()
{
    body();
    fibers[current].done = true;
    swapcontext(&fibers[current].context, &scheduler);
}

static void run_block()
{
    const size_t count = fibers.size();
    for (size_t n = 0; n < count; ++n) {
        Fiber& fiber = fibers[n];
        fiber.done = false;
        fiber.barriers = 0;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, entry, 0);
    }
    for (;;) {
        size_t finished = 0;
        for (current = 0; current < count; ++current) {
            if (fibers[current].done) {
                ++finished;
                continue;
            }
            threadIdx = fibers[current].thread;
            swapcontext(&scheduler, &fibers[current].context);
            finished += fibers[current].done ? 1 : 0;
        }
        if (finished == count) return;
        if (finished > 0) {
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
    fibers.assign((size_t)block.x * block.y * block.z, Fiber());
    size_t n = 0;
    for (unsigned z = 0; z < block.z; ++z)
        for (unsigned y = 0; y < block.y; ++y)
            for (unsigned x = 0; x < block.x; ++x, ++n) {
                fibers[n].stack.resize(64 * 1024);
                fibers[n].thread = dim3(x, y, z);
            }
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) {
                blockIdx = dim3(x, y, z);
                run_block();
            }
}

}  // namespace cuda_host

static inline void __syncthreads()
{
    cuda_host::Fiber& me = cuda_host::fibers[cuda_host::current];
    ++me.barriers;
    swapcontext(&me.context, &cuda_host::scheduler);
    threadIdx = me.thread;
}
