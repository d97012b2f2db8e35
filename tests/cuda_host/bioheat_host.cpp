// C entry points that launch the kernels of kernels/bioheat.cu on the host.
#include "cuda_host.h"

#include "bioheat.cu"

extern "C" void host_stage(
    unsigned blocks, const float* th1, float* th0, const unsigned char* kind, const float* tissues,
    const float* pair, int n_tissues, float tl, float ts, int nz, int ny, int nx,
    const int* window, float alpha, float beta, float gamma, float gamma_h2, double* sums)
{
    cuda_host::launch(dim3(blocks), dim3(BLOCK), [&] {
        bioheat_stage(th1, th0, kind, tissues, pair, n_tissues, tl, ts, nz, ny, nx, window, alpha,
                      beta, gamma, gamma_h2, sums);
    });
}

extern "C" void host_gather(
    unsigned samples, const float* th1, const unsigned char* kind, const float* tissues, float tl,
    float ts, const long long* sample_ptr, const long long* voxel, const float* weight,
    const float* strength, const float* surface_tau, double* heat)
{
    cuda_host::launch(dim3(samples), dim3(BLOCK), [&] {
        line_gather(th1, kind, tissues, tl, ts, sample_ptr, voxel, weight, strength, surface_tau,
                    heat);
    });
}

extern "C" void host_scatter(
    float* th0, const unsigned char* kind, const float* tissues, float tl, float ts, float gamma,
    int n_voxels, const long long* voxel, const long long* voxel_ptr, const int* sample,
    const float* weight, const double* heat, double* lost)
{
    cuda_host::launch(dim3((n_voxels + BLOCK - 1) / BLOCK), dim3(BLOCK), [&] {
        line_scatter(th0, kind, tissues, tl, ts, gamma, n_voxels, voxel, voxel_ptr, sample, weight,
                     heat, lost);
    });
}
